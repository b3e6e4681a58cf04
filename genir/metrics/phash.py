"""Perceptual hash: 64 bits that stay nearly the same when a picture is encoded, resized or brightened."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from genir.metrics.gray import gray

SIDE, KEPT = 32, 8


def phash(images_NCHW: Tensor) -> Tensor:
    """uint8 RGB of any size -> (N,) int64, whose 64 bits are the hash.

    Luma, averaged to 32 x 32; of its DCT the 8 x 8 lowest frequencies; a bit says whether one is above their median
    (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", section 3.2.1). Two pictures
    are alike when few bits differ. Raises ImageError for sides below 32 pixels.
    """
    small_N11 = F.adaptive_avg_pool2d(gray(images_NCHW, "hash", SIDE)[:, None], SIDE)[:, 0]
    frequency = torch.arange(KEPT, dtype=torch.float64, device=small_N11.device)
    position = torch.arange(SIDE, dtype=torch.float64, device=small_N11.device) + 0.5
    basis = torch.cos(math.pi / SIDE * frequency[:, None] * position)
    low_NK = (basis @ small_N11 @ basis.T).flatten(1)
    bits_NK = low_NK > low_NK[:, 1:].median(dim=1, keepdim=True).values  # without the mean, which decides nothing
    return (bits_NK.long() << torch.arange(KEPT * KEPT, device=bits_NK.device)).sum(dim=1)
