"""Luma of a batch: what every hand-made metric here looks at."""

from __future__ import annotations

import torch
from torch import Tensor

from genir.errors import GenirError, ImageError


def gray(images_NCHW: Tensor, metric: str, shortest: int = 1) -> Tensor:
    """`luma` of images that `check` has looked at."""
    check(images_NCHW, metric, shortest)
    return luma(images_NCHW)


def check(images_NCHW: Tensor, metric: str, shortest: int = 1) -> None:
    """Raises GenirError, naming `metric`, for another dtype or shape than uint8 RGB (N, 3, H, W), ImageError for a side
    below `shortest` pixels.
    """
    shape = tuple(images_NCHW.shape)
    if images_NCHW.dtype != torch.uint8 or len(shape) != 4 or shape[1] != 3:
        raise GenirError(f"{metric}: images are {images_NCHW.dtype} {shape}, but torch.uint8 (N, 3, H, W) is needed")
    if min(shape[2:]) < shortest:
        size = f"{shape[2]}x{shape[3]}"
        raise ImageError(f"{metric}: images are {size} pixels (height x width), but {shortest} is the smallest side")


def luma(images_NCHW: Tensor) -> Tensor:
    """uint8 RGB 0..255 (N, 3, H, W) -> luma (N, H, W), whole numbers 0..255 as float64.

    BT.601 weights .299, .587, .114, rounded half up from thousandths that float32 holds exactly, so every device gives
    the same numbers.
    """
    red_NHW, green_NHW, blue_NHW = images_NCHW.unbind(1)
    thousandths_NHW = red_NHW.float().mul_(299).add_(green_NHW, alpha=587).add_(blue_NHW, alpha=114)
    # half a thousandth more: however a device rounds the quotient, it does not reach a whole number from below
    return thousandths_NHW.add_(500.5).div_(1000).floor_().double()
