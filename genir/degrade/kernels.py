"""Blur kernels, in float64, each summing to one.

Sources: Wang et al. 2021 (Real-ESRGAN, arXiv 2107.10833), section 3.1 and 3.2, for the Gaussian family and the sinc
filter; Zhang et al. 2021 (BSRGAN, arXiv 2103.14006), section 3.1, for the isotropic and anisotropic Gaussians.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

_LEAST_VARIANCE = 1e-4  # below, the sampled Gaussian is one pixel anyway


def build(step: dict[str, Any]) -> Tensor:
    """The kernel (K, K) that a drawn step of `op` "blur" describes."""
    kernel = step["kernel"]
    if kernel == "sinc":
        return sinc(step["size"], math.pi * step["cutoff"])
    if kernel == "motion":
        return motion(step["length"], step["angle"])
    if kernel == "defocus":
        return defocus(step["radius"])
    return gaussian(step["size"], step["sigma"], step["angle"], kernel.partition("_")[0], step.get("beta", 1.0))


def gaussian(size: int, sigma: tuple[float, float], angle: float, family: str, beta: float = 1.0) -> Tensor:
    """A Gaussian, a generalized Gaussian or a plateau kernel.

    With q(c) = c' Sigma^-1 c: exp(-q/2); exp(-q^beta / 2); 1 / (1 + q^beta) (Real-ESRGAN, section 3.1).

    Args:
        size: odd side.
        sigma: pixels, along the two axes of the ellipse.
        angle: radians by which the first axis is turned from the rows' direction.
        family: "generalized", "plateau", or any other word for the Gaussian.
        beta: shape of the two others.
    """
    x, y = _grid(size)
    along = math.cos(angle) * x + math.sin(angle) * y
    across = math.cos(angle) * y - math.sin(angle) * x
    q = along**2 / max(sigma[0] ** 2, _LEAST_VARIANCE) + across**2 / max(sigma[1] ** 2, _LEAST_VARIANCE)
    if family == "plateau":
        kernel = 1 / (1 + q**beta)
    else:
        kernel = torch.exp(-0.5 * (q**beta if family == "generalized" else q))
    return kernel / kernel.sum()


def sinc(size: int, cutoff: float) -> Tensor:
    """The circular low-pass filter cutoff / (2 pi r) J1(cutoff r) (Real-ESRGAN, equation 6).

    Args:
        size: odd side.
        cutoff: radians a pixel, 0..pi.
    """
    x, y = _grid(size)
    r = torch.sqrt(x**2 + y**2)
    r[size // 2, size // 2] = 1.0
    kernel = cutoff * torch.special.bessel_j1(cutoff * r) / (2 * math.pi * r)
    kernel[size // 2, size // 2] = cutoff**2 / (4 * math.pi)
    return kernel / kernel.sum()


def motion(length: float, angle: float) -> Tensor:
    """A straight line through the centre: a pixel weighs 1 minus its distance from the line, where that is positive.

    Args:
        length: pixels.
        angle: radians from the rows' direction.
    """
    half = length / 2
    x, y = _grid(2 * math.ceil(half + 1) - 1)
    along = math.cos(angle) * x + math.sin(angle) * y
    across = math.cos(angle) * y - math.sin(angle) * x
    beyond = (along.abs() - half).clamp(min=0)
    kernel = (1 - torch.sqrt(across**2 + beyond**2)).clamp(min=0)
    return kernel / kernel.sum()


def defocus(radius: float) -> Tensor:
    """A disk with an edge one pixel soft; `radius` in pixels."""
    x, y = _grid(2 * math.ceil(radius) + 1)
    kernel = (radius + 0.5 - torch.sqrt(x**2 + y**2)).clamp(0, 1)
    return kernel / kernel.sum()


def unsharp(radius: int) -> Tensor:
    """The separable Gaussian of OpenCV for a side and no sigma: sigma = 0.3 ((side - 1) / 2 - 1) + 0.8."""
    side = radius + (radius % 2 == 0)
    sigma = 0.3 * ((side - 1) * 0.5 - 1) + 0.8
    return gaussian(side, (sigma, sigma), 0.0, "gaussian")


def _grid(size: int) -> tuple[Tensor, Tensor]:
    axis = torch.arange(size, dtype=torch.float64) - size // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y
