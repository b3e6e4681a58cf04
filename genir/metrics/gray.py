"""Luma of a batch: what every hand-made metric here looks at."""

from __future__ import annotations

import torch
from torch import Tensor

from genir.errors import GenirError, ImageError


def gray(images_NCHW: Tensor, metric: str, shortest: int = 1) -> Tensor:
    """uint8 RGB 0..255 (N, 3, H, W) -> luma (N, H, W), whole numbers 0..255 as float64.

    BT.601 weights .299, .587, .114, rounded half up in integer arithmetic, so every device gives the same
    numbers. Raises GenirError, naming `metric`, for another dtype or shape, ImageError for a side below
    `shortest` pixels.
    """
    shape = tuple(images_NCHW.shape)
    if images_NCHW.dtype != torch.uint8 or len(shape) != 4 or shape[1] != 3:
        raise GenirError(f"{metric}: images are {images_NCHW.dtype} {shape}, but torch.uint8 (N, 3, H, W) is needed")
    if min(shape[2:]) < shortest:
        size = f"{shape[2]}x{shape[3]}"
        raise ImageError(f"{metric}: images are {size} pixels (height x width), but {shortest} is the smallest side")
    red_NHW, green_NHW, blue_NHW = images_NCHW.to(torch.int32).unbind(1)
    luma_NHW = (299 * red_NHW + 587 * green_NHW + 114 * blue_NHW + 500) // 1000
    return luma_NHW.double()
