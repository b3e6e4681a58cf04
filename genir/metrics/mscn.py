"""Mean-subtracted contrast-normalised (MSCN) coefficients, the common ground of NIQE and PIQE.

Source: Mittal, Moorthy, Bovik, "No-Reference Image Quality Assessment in the Spatial Domain", TIP 2012, eq.
1-3.
"""

from __future__ import annotations

import math
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from genir.metrics.gray import check, luma

WINDOW = 7
SIGMA = 7 / 6
_RADIUS = WINDOW // 2


class Contrast:
    """Luma and MSCN coefficients of a batch, made once for all metrics that look at them."""

    def __init__(self, images_NCHW: Tensor) -> None:
        """Take uint8 RGB 0..255."""
        self._images_NCHW = images_NCHW

    @staticmethod
    def of(images: Tensor | Contrast) -> Contrast:
        """Of uint8 RGB (N, 3, H, W); what several metrics share stays itself."""
        return images if isinstance(images, Contrast) else Contrast(images)

    def gray(self, metric: str, shortest: int = 1) -> Tensor:
        """Luma (N, H, W), as `gray.gray` makes it; raises as it does."""
        check(self._images_NCHW, metric, shortest)
        return self.luma_NHW

    @cached_property
    def luma_NHW(self) -> Tensor:
        """Of images that `check` has looked at."""
        return luma(self._images_NCHW)

    @cached_property
    def _whole(self) -> tuple[Tensor, Tensor]:
        return mscn(self.luma_NHW)

    def mscn(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """`mscn` of the top left part alone: as in the whole image but at its last rows and columns, which are
        reflected there.
        """
        gray_NHW, whole = self.luma_NHW, self._whole
        if (height, width) == gray_NHW.shape[1:]:
            return whole
        coefficients_NHW, deviation_NHW = (x_NHW[:, :height, :width].clone() for x_NHW in whole)
        seen = 2 * _RADIUS  # rows that the last _RADIUS rows see
        bottom, right = (
            mscn(gray_NHW[:, height - seen : height, :width]),
            mscn(gray_NHW[:, :height, width - seen : width]),
        )
        for part_NHW, bottom_NHW, right_NHW in zip((coefficients_NHW, deviation_NHW), bottom, right, strict=True):
            part_NHW[:, -_RADIUS:] = bottom_NHW[:, _RADIUS:]
            part_NHW[:, :, -_RADIUS:] = right_NHW[:, :, _RADIUS:]
        return coefficients_NHW, deviation_NHW


def mscn(gray_NHW: Tensor) -> tuple[Tensor, Tensor]:
    """Luma 0..255 in float64 -> MSCN coefficients and the local standard deviation, both (N, H, W).

    (I - mu) / (sigma + 1) with mu and sigma under a 7x7 Gaussian window of standard deviation 7/6; edges
    reflected. float64, because sigma is a difference of two large numbers where the image is bright and
    flat.
    """
    padded_NHW = F.pad(gray_NHW[:, None], (_RADIUS,) * 4, mode="reflect")[:, 0]
    mean_NHW = _blur(padded_NHW)
    deviation_NHW = _blur(padded_NHW * padded_NHW).sub_(mean_NHW * mean_NHW).clamp_(min=0).sqrt_()
    return (gray_NHW - mean_NHW).div_(deviation_NHW + 1), deviation_NHW


def _blur(x_NHW: Tensor) -> Tensor:
    # Sums of shifted slices, not a convolution: no TF32 and no choice of algorithm can change the numbers. Product and
    # sum are two steps: rounded once, flat areas would differ from their mean in other directions than they do now.
    weights = [math.exp(-0.5 * (i / SIGMA) ** 2) for i in range(-_RADIUS, _RADIUS + 1)]
    total = sum(weights)
    for dim in (1, 2):
        length = x_NHW.shape[dim] - WINDOW + 1
        blurred = x_NHW.narrow(dim, 0, length) * (weights[0] / total)
        term = torch.empty_like(blurred)
        for i in range(1, WINDOW):
            blurred += torch.mul(x_NHW.narrow(dim, i, length), weights[i] / total, out=term)
        x_NHW = blurred
    return x_NHW


def tiles(x_NHW: Tensor, side: int) -> Tensor:
    """(N, H, W) -> (N, tiles, side, side): whole tiles from the top left; what is left over is dropped."""
    cut = x_NHW.unfold(1, side, side).unfold(2, side, side)
    return cut.reshape(x_NHW.shape[0], -1, side, side)
