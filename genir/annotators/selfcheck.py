"""A ball over a floor before a wall of sky, rendered with all its labels: is a backend the right way round?

Models of one kind differ in what they call depth and which way their normals point, and nothing in their files says
so. The scene decides what may differ (disparity or distance, the sign of a normal's x) and refuses the rest. It asks
for the gist only, what a model that works at all gets right on any picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from genir.annotators.draw import Sense, label_of, normals_of
from genir.annotators.label import Predict, View
from genir.annotators.segments import CLASSES, classes_of
from genir.errors import ModelError

SIDE = 384
_RANKED, _ANGLE = 0.5, 35.0  # least rank correlation of depth, largest mean error of normals on the ball (degrees)
_FLATTER = 0.7  # shading left in the ball's albedo, over that in the picture
_GROUND = ("plant", "water", "wall, floor, ceiling, rug", "road, earth, sand")


@dataclass(frozen=True)
class Scene:
    """The picture and what is known of it."""

    pixels_CHW: np.ndarray
    disparity_HW: np.ndarray
    """Inverse distance; 0 in the sky."""
    normal_CHW: np.ndarray
    """Camera space: x right, y up, z toward the camera."""
    ball_HW: np.ndarray
    floor_HW: np.ndarray
    sky_HW: np.ndarray


@cache
def scene() -> Scene:
    """Rendered once."""
    at = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    x, y = np.meshgrid(at, -at)  # to the right and up, -1..1, at a distance of 1: a field of view of 90 degrees
    ray = np.stack([x, y, np.full_like(x, -1.0)])
    centre, radius, ground = np.array([0.0, -0.15, -3.0]), 1.0, -1.2
    along, length2 = np.einsum("chw,c->hw", ray, centre), (ray**2).sum(0)
    inside = along**2 - length2 * (centre @ centre - radius**2)
    ball = inside > 0
    distance = np.where(ball, (along - np.sqrt(np.maximum(inside, 0))) / length2, np.inf)
    floor = ~ball & (y < -0.02)
    distance = np.where(floor, ground / np.minimum(y, -0.02), distance)
    normal = np.zeros_like(ray)
    normal[2] = 1
    point = ray * np.where(np.isfinite(distance), distance, 1)
    normal = np.where(ball, (point - centre[:, None, None]) / radius, normal)
    normal = np.where(floor, np.array([0.0, 1.0, 0.0])[:, None, None], normal)
    albedo = np.where(ball, np.array([0.7, 0.12, 0.08])[:, None, None], np.array([0.3, 0.27, 0.22])[:, None, None])
    tiles = (np.floor(point[0] * 1.5) + np.floor(point[2] * 1.5)) % 2
    albedo = albedo * np.where(floor, 0.8 + 0.4 * tiles, 1.0)
    sun = np.array([-0.5, 0.7, 0.5]) / np.linalg.norm([-0.5, 0.7, 0.5])
    light = 0.15 + 0.95 * np.clip(np.einsum("chw,c->hw", normal, sun), 0, 1)
    shadow = floor & (((point[0] - 0.6) ** 2 + (point[2] + 3.3) ** 2) < 0.9)
    sky_light = np.array([0.25, 0.45, 0.8])[:, None, None] * (1.2 - 0.5 * np.clip(y, 0, 1))
    linear = np.where(ball | floor, albedo * np.where(shadow, 0.2, light), sky_light)
    pixels = np.rint(np.clip(linear, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    return Scene(pixels, 1 / distance, normal.astype(np.float32), ball, floor, ~(ball | floor))


def decide(domain: str, predict: Predict, candidates: tuple[Sense, ...], what: str) -> Sense:
    """The sense in which the backend's answer for the scene is right.

    Args:
        domain: one of the seven.
        predict: the backend.
        candidates: the senses that it may have.
        what: names the backend in errors.

    Raises:
        ModelError: its answer is right in none of them.
    """
    known = scene()
    (prediction,) = predict([View("selfcheck", known.pixels_CHW)])
    faults = []
    for sense in candidates:
        label = label_of(domain, prediction, (SIDE, SIDE), sense)
        fault = _no_label(domain, label.reason) if label.pixels_CHW is None or label.reason else ""
        if not fault and label.pixels_CHW is not None:
            fault = _CHECKS[domain](label.pixels_CHW.astype(np.float32), known)
        if not fault:
            return sense
        faults.append(fault)
    raise ModelError(f"{what}: fails the self-check on a rendered ball and floor: {faults[0]}; take another model")


def _no_label(domain: str, reason: str) -> str:
    return "" if domain == "openpose" and reason == "nobody" else f"its label is not usable ({reason})"


def _depth(label_CHW: np.ndarray, known: Scene) -> str:
    step = slice(None, None, 6)
    correlation = _rank_correlation(label_CHW[0][step, step].ravel(), known.disparity_HW[step, step].ravel())
    return "" if correlation >= _RANKED else f"depth has the rank correlation {correlation:.2f} with the truth"


def _normal(label_CHW: np.ndarray, known: Scene) -> str:
    cosine_HW = (normals_of(label_CHW) * known.normal_CHW).sum(0)
    angle = float(np.degrees(np.arccos(np.clip(cosine_HW[known.ball_HW], -1, 1))).mean())
    return "" if angle <= _ANGLE else f"normals of the ball are wrong by {angle:.0f} degrees"


def _albedo(label_CHW: np.ndarray, known: Scene) -> str:
    left = _shading(label_CHW[:, known.ball_HW]) / _shading(known.pixels_CHW[:, known.ball_HW].astype(np.float32))
    if left > _FLATTER:
        return f"{left:.0%} of the ball's shading is left in its albedo"
    red, green, blue = label_CHW[:, known.ball_HW].mean(1)
    return "" if red > 1.3 * max(green, blue) else "the red ball is not red in its albedo"


def _segmentation(label_CHW: np.ndarray, known: Scene) -> str:
    classes_HW = classes_of(label_CHW.astype(np.uint8))
    assert classes_HW is not None, "a label of other colours has its reason"
    high = known.sky_HW & (np.arange(SIDE)[:, None] < SIDE // 5)
    low = known.floor_HW & (np.arange(SIDE)[:, None] > SIDE * 4 // 5)
    sky, ground = (CLASSES[np.bincount(classes_HW[where]).argmax()] for where in (high, low))
    if sky != "sky":
        return f"the sky is called {sky}"
    return "" if ground in _GROUND else f"the floor is called {ground}"


def _edge(label_CHW: np.ndarray, known: Scene) -> str:
    rim, rest = _rim(label_CHW[0], known)
    return "" if rim > rest + 20 else f"the ball's outline ({rim:.0f}) is no brighter than the rest ({rest:.0f})"


def _lineart(label_CHW: np.ndarray, known: Scene) -> str:
    rim, rest = _rim(label_CHW[0], known)
    return "" if rim < rest - 20 else f"the ball's outline ({rim:.0f}) is no darker than the rest ({rest:.0f})"


def _openpose(label_CHW: np.ndarray, known: Scene) -> str:
    return "it sees people where there are none"


def _rim(plane_HW: np.ndarray, known: Scene) -> tuple[float, float]:
    """The strongest line within 4 pixels of the ball's outline against the sky, and the middle of the sky and ball."""
    rows, columns = np.nonzero(known.ball_HW & (np.arange(SIDE)[:, None] < SIDE // 2 - 20))
    edges = {int(row): columns[rows == row].min() for row in np.unique(rows)[10:]}
    background = float(np.median(plane_HW[known.sky_HW]))
    found = []
    for row, column in edges.items():
        near = plane_HW[row, max(0, column - 4) : column + 5]
        found.append(near[np.abs(near - background).argmax()])
    return float(np.median(found)), background


def _shading(pixels_CK: np.ndarray) -> float:
    """Spread of brightness over its mean."""
    gray = pixels_CK.mean(0)
    return float(gray.std() / max(gray.mean(), 1.0))


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    first, second = (_ranks(values) for values in (one, other))
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks, equal values sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


_CHECKS = {
    "edge": _edge,
    "lineart": _lineart,
    "depth": _depth,
    "normal": _normal,
    "albedo": _albedo,
    "segmentation": _segmentation,
    "openpose": _openpose,
}
