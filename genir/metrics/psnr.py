"""PSNR: how far pixels are from those of a reference, in decibels."""

from __future__ import annotations

import torch
from torch import Tensor

from genir.errors import ImageError

HIGHEST = 100.0
"""What equal pictures get: their PSNR is infinite, and a mean of infinity tells nothing."""
# 16 + 65.481 R + 128.553 G + 24.966 B of R, G, B in 0..1: ITU-R BT.601 in studio range, MATLAB's rgb2ycbcr
_Y_WEIGHTS, _Y_BLACK = (65.481 / 255, 128.553 / 255, 24.966 / 255), 16.0


def psnr(images_NCHW: Tensor, references_NCHW: Tensor) -> Tensor:
    """Floats 0..255 (N, C, H, W), of one shape -> 10 log10(255^2 / MSE) in dB (N,); higher is nearer, at most 100.

    The mean squared error is over all channels. On `luma` it is the PSNR of super-resolution tables.
    """
    square_N = (images_NCHW - references_NCHW).square_().flatten(1).mean(dim=1)
    return (10 * torch.log10(255**2 / square_N)).clamp(max=HIGHEST)


def luma(images_NCHW: Tensor) -> Tensor:
    """RGB 0..255 -> the Y of YCbCr, 16..235, not rounded: (N, 1, H, W). BT.601, as MATLAB and BasicSR have it."""
    red, green, blue = _Y_WEIGHTS
    y_NHW = (images_NCHW[:, 0] * red).add_(images_NCHW[:, 1], alpha=green).add_(images_NCHW[:, 2], alpha=blue)
    return y_NHW.add_(_Y_BLACK)[:, None]


def without_border(images_NCHW: Tensor, pixels: int) -> Tensor:
    """The images without `pixels` rows and columns at each side; raises ImageError where nothing is left."""
    height, width = images_NCHW.shape[2:]
    if min(height, width) <= 2 * pixels:
        raise ImageError(f"crop_border {pixels}: nothing is left of {height}x{width} pixels (height x width)")
    return images_NCHW[:, :, pixels : height - pixels, pixels : width - pixels]
