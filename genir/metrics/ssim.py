"""SSIM: structural similarity to a reference.

Source: Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity",
TIP 2004, section III.B-C.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genir.errors import ImageError

WINDOW = 11
SIGMA = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_CENTRE = 127.5
_ROWS = 64  # at a time: the sums of a strip stay in a CPU's cache, and take half as long


def ssim(images_NCHW: Tensor, references_NCHW: Tensor) -> Tensor:
    """Floats 0..255 (N, C, H, W), of one shape -> mean SSIM (N,), -1..1; higher is nearer.

    Gaussian window of 11 x 11 and standard deviation 1.5, population variances, K1 .01, K2 .03; only windows that lie
    inside of the image; mean over pixels and channels. Raises ImageError for a side below 11 pixels.
    """
    height, width = images_NCHW.shape[2:]
    if min(height, width) < WINDOW:
        raise ImageError(f"ssim: {height}x{width} pixels (height x width), but {WINDOW} is the smallest side")
    inner = height - WINDOW + 1
    total_N = images_NCHW.new_zeros(len(images_NCHW), dtype=torch.float64)
    for top in range(0, inner, _ROWS):
        rows = min(_ROWS, inner - top)
        strip = (slice(None), slice(None), slice(top, top + rows + WINDOW - 1))
        total_N += _map(images_NCHW[strip], references_NCHW[strip]).flatten(1).mean(dim=1) * rows
    return total_N / inner


def _map(images_NCHW: Tensor, references_NCHW: Tensor) -> Tensor:
    """SSIM of every window."""
    # variances do not depend on what is subtracted from all pixels, and their rounding error does
    x, y = images_NCHW - _CENTRE, references_NCHW - _CENTRE
    # the two variances are only ever added: one blur for both
    mean_x, mean_y, variances, covariance = _blur(torch.stack([x, y, _squares(x, y), x * y]))
    covariance = covariance.sub_(mean_x * mean_y).mul_(2).add_(_C2)
    variances = variances.sub_(_squares(mean_x, mean_y)).add_(_C2)
    mean_x, mean_y = mean_x.add_(_CENTRE), mean_y.add_(_CENTRE)
    luminance = (mean_x * mean_y).mul_(2).add_(_C1)
    return luminance.mul_(covariance).div_(_squares(mean_x, mean_y).add_(_C1).mul_(variances))


def _squares(x: Tensor, y: Tensor) -> Tensor:
    return (x * x).add_(y * y)


def _blur(x: Tensor) -> Tensor:
    # sums of shifted slices, not a convolution: no TF32 and no choice of algorithm can change the numbers
    weights = [math.exp(-0.5 * ((i - WINDOW // 2) / SIGMA) ** 2) for i in range(WINDOW)]
    total = sum(weights)
    for dim in (-2, -1):
        length = x.shape[dim] - WINDOW + 1
        blurred = x.narrow(dim, 0, length) * (weights[0] / total)
        for i in range(1, WINDOW):
            blurred.add_(x.narrow(dim, i, length), alpha=weights[i] / total)
        x = blurred
    return x
