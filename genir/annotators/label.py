"""What an annotator sees, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from genir.records import Score

DOMAINS = ("edge", "lineart", "depth", "normal", "albedo", "segmentation", "openpose")
"""In the order in which they are made."""


@dataclass(frozen=True)
class View:
    """One picture."""

    name: str
    """Where it lies in its source, for backends that look something up."""
    pixels_CHW: np.ndarray
    """uint8 RGB."""

    @property
    def size_HW(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.pixels_CHW.shape[1:]
        return height, width


@dataclass
class Label:
    """The label of one picture in one domain, or why it has none."""

    pixels_CHW: np.ndarray | None
    """uint8, (1, H, W) or RGB (3, H, W); None: there is none."""
    reason: str = ""
    """Of a label that is not to be used: "nobody", "size", "palette", ..."""
    scores: dict[str, Score] = field(default_factory=dict)


Predict = Callable[[Sequence[View]], list[np.ndarray]]
"""Pictures -> a prediction each, at the picture's size and in the domain's own units:

edge          float (H, W), strength 0..1
lineart       float (H, W), 1 is paper, 0 is ink
depth         float (H, W), disparity or distance in any unit
normal        float (3, H, W), camera space: x, y up, z toward the camera
albedo        float (3, H, W), display values 0..1
segmentation  int (H, W), the twelve classes 0..11
openpose      float (K, 18, 3): x, y in pixels and confidence 0..1 of the OpenPose-18 points of K people
"""
