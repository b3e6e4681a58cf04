"""Faces in images: scales, boxes and scores around CenterFace. Knows nothing about thresholds of a gate.

The network sees an image at every scale; the best heatmap value over all cells and scales is the image's
score, so a stricter or looser threshold can be applied later without looking at pixels again.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from genir.detectors.centerface import MULTIPLE, STRIDE, load_centerface
from genir.detectors.centerface import weights_sha256 as weights_sha256
from genir.errors import ConfigError, GenirError

FLOOR = 0.3
"""Boxes below this heatmap score are not reported."""
NMS_IOU = 0.3
"""Of two boxes that overlap by more than this intersection over union, the better one stays."""
SCALES_LIMIT = (0.125, 4.0)
LONG_SIDE_MIN = 64
# A fixed rule of the image size, not of free memory: a batch is cut at the same places on every machine.
_PIXELS_PER_PASS = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Faces:
    """What was found in one image."""

    score: float
    """Best heatmap value of the image over all scales, 0..1; also when it is below every threshold."""
    boxes_K4: Tensor
    """Pixels of the image as given: x1, y1, x2, y2, clipped to it; best first; float32 on the CPU."""
    scores_K: Tensor
    """Heatmap values of the boxes, FLOOR..1."""
    area: float
    """Largest box as a fraction of the image area, 0..1; 0 without a box."""


class FaceDetector:
    """CenterFace over one or more scales of an image.

    `scales` are factors of the size looked at: (1.0,) is the native scale, (1.0, 2.0) the strict mode for
    small faces (five times the work). `long_side` (pixels) caps the longest side looked at before the scales:
    larger images are scaled down to it with antialiasing; None means native size. Raises ConfigError for
    other values.

    Measured recall and false alarms: docs/methods.md. A face that it does not find is still a face.
    """

    def __init__(
        self,
        device: torch.device | str = "cpu",
        scales: tuple[float, ...] = (1.0,),
        long_side: int | None = None,
    ) -> None:
        low, high = SCALES_LIMIT
        if not scales or not all(low <= scale <= high for scale in scales):
            raise ConfigError(f"faces: scales are {scales}, but at least one number {low}..{high} is needed")
        if long_side is not None and long_side < LONG_SIDE_MIN:
            raise ConfigError(f"faces: long_side is {long_side} pixels, but at least {LONG_SIDE_MIN} or null is needed")
        self.device = torch.device(device)
        self.scales = tuple(scales)
        self.long_side = long_side
        self._model = load_centerface(self.device)

    @torch.inference_mode()
    def detect(self, images_NCHW: Tensor) -> list[Faces]:
        """uint8 RGB 0..255 of any height and width -> one `Faces` an image, in order.

        An image's result does not depend on its neighbours in the batch (to 1e-4). Raises GenirError for
        another dtype or shape.
        """
        if images_NCHW.dtype != torch.uint8 or images_NCHW.ndim != 4 or images_NCHW.shape[1] != 3:
            got = f"{images_NCHW.dtype} {tuple(images_NCHW.shape)}"
            raise GenirError(f"faces: images are {got}, but torch.uint8 (N, 3, H, W) is needed")
        height, width = images_NCHW.shape[2:]
        found: list[Faces] = []
        per_pass = max(1, int(_PIXELS_PER_PASS / (self._base(height, width) * max(self.scales)) ** 2))
        for part_NCHW in images_NCHW.split(per_pass):
            pixels_NCHW = part_NCHW.to(self.device).float()
            looks = [self._look(pixels_NCHW, scale) for scale in self.scales]
            for i in range(len(part_NCHW)):
                best = max(float(score_N[i]) for score_N, _ in looks)
                boxes_K5 = torch.cat([boxes[i] for _, boxes in looks])
                found.append(_merge(best, boxes_K5, height, width))
        return found

    def _base(self, height: int, width: int) -> float:
        """Longest side looked at before the scales, in pixels."""
        longest = max(height, width)
        return longest if self.long_side is None else min(longest, self.long_side)

    def _look(self, pixels_NCHW: Tensor, scale: float) -> tuple[Tensor, list[Tensor]]:
        """One scale: best heatmap value of each image (N,) and its boxes (K, 5) in pixels of the input."""
        height, width = pixels_NCHW.shape[2:]
        factor = scale * self._base(height, width) / max(height, width)
        rows, columns = (ceil(max(1, round(side * factor)) / MULTIPLE) * MULTIPLE for side in (height, width))
        if (rows, columns) != (height, width):
            pixels_NCHW = F.interpolate(pixels_NCHW, (rows, columns), mode="bilinear", antialias=True)
        heat_N1HW, log_size_N2HW, offset_N2HW = (
            t.float().cpu() for t in self._model(pixels_NCHW.contiguous(memory_format=torch.channels_last))
        )
        stretch = torch.tensor([width / columns, height / rows]) * STRIDE
        boxes = [_decode(h, s, o, stretch) for h, s, o in zip(heat_N1HW[:, 0], log_size_N2HW, offset_N2HW, strict=True)]
        return heat_N1HW.amax(dim=(1, 2, 3)), boxes


def _decode(heat_HW: Tensor, log_size_2HW: Tensor, offset_2HW: Tensor, stretch_xy: Tensor) -> Tensor:
    """Cells at or above FLOOR -> (K, 5): x1, y1, x2, y2 in pixels, score."""
    row, column = torch.where(heat_HW >= FLOOR)
    size_K2 = log_size_2HW[:, row, column].T.exp().flip(1)  # width, height in cells
    centre_K2 = torch.stack([column, row], 1) + offset_2HW[:, row, column].T.flip(1) + 0.5
    low_K2, high_K2 = (centre_K2 - size_K2 / 2) * stretch_xy, (centre_K2 + size_K2 / 2) * stretch_xy
    return torch.cat([low_K2, high_K2, heat_HW[row, column][:, None]], 1)


def _merge(best: float, boxes_K5: Tensor, height: int, width: int) -> Faces:
    limits = torch.tensor([width, height, width, height], dtype=torch.float32)
    boxes_K4 = boxes_K5[:, :4].clamp(min=0).minimum(limits)
    keep = nms(boxes_K4, boxes_K5[:, 4], NMS_IOU)
    boxes_K4, scores_K = boxes_K4[keep], boxes_K5[keep, 4]
    areas_K = _areas(boxes_K4) / (height * width)
    return Faces(best, boxes_K4, scores_K, float(areas_K.max()) if len(areas_K) else 0.0)


def nms(boxes_K4: Tensor, scores_K: Tensor, iou: float) -> Tensor:
    """Indices of the boxes (x1, y1, x2, y2) that greedy non-maximum suppression keeps, best score first."""
    left = scores_K.argsort(descending=True, stable=True)
    areas_K = _areas(boxes_K4)
    kept: list[int] = []
    while len(left):
        first, left = int(left[0]), left[1:]
        kept.append(first)
        low = torch.maximum(boxes_K4[first, :2], boxes_K4[left, :2])
        high = torch.minimum(boxes_K4[first, 2:], boxes_K4[left, 2:])
        shared = (high - low).clamp(min=0).prod(dim=1)
        union = areas_K[first] + areas_K[left] - shared
        left = left[shared <= iou * union]
    return torch.tensor(kept, dtype=torch.long)


def _areas(boxes_K4: Tensor) -> Tensor:
    return (boxes_K4[:, 2:] - boxes_K4[:, :2]).clamp(min=0).prod(dim=1)
