"""People as OpenPose draws them: 18 points, 17 limbs (Cao et al. 2019, arXiv 1812.08008)."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

_NECK = -1
FROM_COCO = (0, _NECK, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""OpenPose-18 point -> COCO-17 point; the neck is the middle of the shoulders, as the COCO model of OpenPose learned
it."""
_SHOULDERS = (5, 6)
_LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10)),
    *((1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
_COLOURS = (
    *((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0)),
    *((0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255)),
    *((0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85)),
)
_LIMB_SHADE = 0.6
_STICK = 4 / 512  # half a limb's width over the short side: 4 pixels at 512, OpenPose's usual resolution
SEEN = 0.3
"""Confidence from which a point is drawn."""


def openpose_points(coco_K17x3: np.ndarray) -> np.ndarray:
    """COCO points (K, 17, 3) of x, y, confidence -> OpenPose's (K, 18, 3)."""
    left, right = (coco_K17x3[:, index] for index in _SHOULDERS)
    neck = (left + right) / 2
    neck[:, 2] = np.minimum(left[:, 2], right[:, 2])
    return np.stack([neck if index == _NECK else coco_K17x3[:, index] for index in FROM_COCO], 1)


def drawn(people_K18x3: np.ndarray, size_HW: tuple[int, int]) -> np.ndarray | None:
    """uint8 RGB (3, H, W) on black; None where there is nothing to draw."""
    height, width = size_HW
    stick = max(1.0, _STICK * min(size_HW))
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    visible = people_K18x3[..., 2] >= SEEN
    if not visible.any():
        return None
    for limb, (start, end) in enumerate(_LIMBS):
        shade = tuple(int(channel * _LIMB_SHADE) for channel in _COLOURS[limb])
        for person, seen in zip(people_K18x3, visible, strict=True):
            if seen[start] and seen[end]:
                draw.polygon(_ellipse(person[start, :2], person[end, :2], stick), fill=shade)
    for point, colour in enumerate(_COLOURS):
        for person, seen in zip(people_K18x3, visible, strict=True):
            if seen[point]:
                x, y = person[point, :2]
                draw.ellipse((x - stick, y - stick, x + stick, y + stick), fill=colour)
    return np.asarray(image).transpose(2, 0, 1)


def _ellipse(start: np.ndarray, end: np.ndarray, half_width: float) -> list[tuple[float, float]]:
    """Around a limb: as long as it, `2 * half_width` wide."""
    (x0, y0), (x1, y1) = start.tolist(), end.tolist()
    along, turn = math.hypot(x1 - x0, y1 - y0) / 2, math.atan2(y1 - y0, x1 - x0)
    cos, sin = math.cos(turn), math.sin(turn)
    points = []
    for degree in range(0, 360, 6):
        u, v = along * math.cos(math.radians(degree)), half_width * math.sin(math.radians(degree))
        points.append(((x0 + x1) / 2 + u * cos - v * sin, (y0 + y1) / 2 + u * sin + v * cos))
    return points
