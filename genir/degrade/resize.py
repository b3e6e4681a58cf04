"""Changes of size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def resize(image_CHW: Tensor, size_HW: tuple[int, int], mode: str) -> Tensor:
    """To `size_HW` by "area", "bilinear", "bicubic" (without anti-aliasing, as in Real-ESRGAN) or "imresize"."""
    if tuple(image_CHW.shape[-2:]) == tuple(size_HW):
        return image_CHW
    if mode == "imresize":
        return _separable(
            image_CHW, *(_imresize(old, new) for old, new in zip(image_CHW.shape[-2:], size_HW, strict=True))
        )
    return functional.interpolate(image_CHW[None], size=tuple(size_HW), mode=mode)[0]


def decimate(image_CHW: Tensor, size_HW: tuple[int, int], sigma: float) -> Tensor:
    """Blur by a Gaussian of `sigma` pixels and take the values at the centres of the smaller image's pixels.

    BSRGAN's nearest downsampling after a shifted kernel (arXiv 2103.14006, section 3.2), with the shift exact.
    """
    return _separable(
        image_CHW, *(_gaussian(old, new, sigma) for old, new in zip(image_CHW.shape[-2:], size_HW, strict=True))
    )


def _separable(image_CHW: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return rows.to(image_CHW) @ image_CHW @ columns.to(image_CHW).T


def _imresize(old: int, new: int) -> Tensor:
    """(new, old) weights of MATLAB's imresize: Keys' cubic with a = -0.5, stretched when the image shrinks."""
    factor = new / old
    stretch = min(factor, 1.0)
    distance, index = _neighbours(old, new, math.ceil(4 / stretch) + 2)
    x = (distance * stretch).abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return _scattered(torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x))), index, old)


def _gaussian(old: int, new: int, sigma: float) -> Tensor:
    distance, index = _neighbours(old, new, 2 * math.ceil(5 * sigma) + 4)
    return _scattered(torch.exp(-0.5 * (distance / max(sigma, 0.01)) ** 2) + 1e-30, index, old)


def _neighbours(old: int, new: int, count: int) -> tuple[Tensor, Tensor]:
    """For each new pixel the old pixels around its centre: distances (new, count), and indices mirrored at borders."""
    centres = (torch.arange(new, dtype=torch.float64) + 0.5) * (old / new) - 0.5
    index = centres.floor()[:, None] + torch.arange(count, dtype=torch.float64) - (count - 1) // 2
    distance = centres[:, None] - index
    index = index.long() % (2 * old)
    return distance, torch.minimum(index, 2 * old - 1 - index)


def _scattered(weights: Tensor, index: Tensor, old: int) -> Tensor:
    weights = weights / weights.sum(1, keepdim=True)
    return torch.zeros(len(weights), old, dtype=torch.float64).scatter_add_(1, index, weights)
