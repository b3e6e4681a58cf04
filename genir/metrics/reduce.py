"""Pictures at a fixed scale: the mean over areas, the same on every device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def reduced(planes_NCHW: Tensor, short_side: int) -> Tensor:
    """Float planes (N, C, H, W), reduced until the shorter side has `short_side` pixels; smaller ones stay."""
    height, width = planes_NCHW.shape[2:]
    factor = short_side / min(height, width)
    if factor >= 1:
        return planes_NCHW
    return F.adaptive_avg_pool2d(planes_NCHW, (round(height * factor), round(width * factor)))


def to_short_side(images_NCHW: Tensor, short_side: int) -> Tensor:
    """uint8 images, reduced in float64 and rounded."""
    if short_side >= min(images_NCHW.shape[2:]):
        return images_NCHW
    return reduced(images_NCHW.double(), short_side).round().to(torch.uint8)
