"""Mean-subtracted contrast-normalised (MSCN) coefficients, the common ground of NIQE and PIQE.

Source: Mittal, Moorthy, Bovik, "No-Reference Image Quality Assessment in the Spatial Domain", TIP 2012, eq.
1-3.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 7
SIGMA = 7 / 6
_RADIUS = WINDOW // 2


def mscn(gray_NHW: Tensor) -> tuple[Tensor, Tensor]:
    """Luma 0..255 in float64 -> MSCN coefficients and the local standard deviation, both (N, H, W).

    (I - mu) / (sigma + 1) with mu and sigma under a 7x7 Gaussian window of standard deviation 7/6; edges
    reflected. float64, because sigma is a difference of two large numbers where the image is bright and
    flat.
    """
    mean_NHW = _blur(gray_NHW)
    deviation_NHW = (_blur(gray_NHW * gray_NHW) - mean_NHW * mean_NHW).clamp(min=0).sqrt()
    return (gray_NHW - mean_NHW) / (deviation_NHW + 1), deviation_NHW


def _blur(x_NHW: Tensor) -> Tensor:
    # Sums of shifted slices, not a convolution: no TF32 and no choice of algorithm can change the numbers.
    weights = [math.exp(-0.5 * (i / SIGMA) ** 2) for i in range(-_RADIUS, _RADIUS + 1)]
    total = sum(weights)
    height, width = x_NHW.shape[1:]
    padded = F.pad(x_NHW[:, None], (_RADIUS,) * 4, mode="reflect")[:, 0]
    rows = torch.zeros_like(padded[:, :height])
    for i, weight in enumerate(weights):
        rows += padded[:, i : i + height] * (weight / total)
    out = torch.zeros_like(x_NHW)
    for i, weight in enumerate(weights):
        out += rows[:, :, i : i + width] * (weight / total)
    return out


def tiles(x_NHW: Tensor, side: int) -> Tensor:
    """(N, H, W) -> (N, tiles, side, side): whole tiles from the top left; what is left over is dropped."""
    cut = x_NHW.unfold(1, side, side).unfold(2, side, side)
    return cut.reshape(x_NHW.shape[0], -1, side, side)
