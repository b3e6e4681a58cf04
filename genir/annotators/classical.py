"""Edges, line art and albedo without a learned model, named for what they are.

They are quick looks and fallbacks: `genir export` leaves them out unless it is asked for them by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genir.annotators.label import Predict, View

_LUMA = (0.299, 0.587, 0.114)


def canny(options: Mapping[str, Any]) -> Predict:
    """Edges of one pixel: Gaussian, Sobel, thinning along the gradient, hysteresis (Canny 1986).

    Options: `sigma` of the Gaussian in pixels; `low` and `high`, gradient of the gray picture (0..1 a pixel) from which
    an edge goes on and from which one begins.
    """

    def edges(pixels_CHW: Tensor) -> Tensor:
        gray_HW = _blurred(_gray(pixels_CHW), options["sigma"])
        padded = F.pad(gray_HW[None, None], (1, 1, 1, 1), mode="replicate")
        across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
        dx, dy = F.conv2d(padded, torch.stack([across, across.T])[:, None].to(padded))[0]
        steep = _thinned(torch.hypot(dx, dy), dx, dy)
        weak, strong = steep >= options["low"], steep >= options["high"]
        while True:  # strong edges grow along weak ones until nothing is added
            grown = (F.max_pool2d(strong[None].float(), 3, 1, 1)[0] > 0) & weak
            if bool((grown == strong).all()):
                return strong.float()
            strong = grown

    return _each(edges)


def _thinned(steep_HW: Tensor, dx_HW: Tensor, dy_HW: Tensor) -> Tensor:
    """Zero where a neighbour across the edge is steeper."""
    padded = F.pad(steep_HW[None, None], (1, 1, 1, 1))[0, 0]
    height, width = steep_HW.shape
    octant = torch.round(torch.atan2(dy_HW, dx_HW) / (torch.pi / 4)).long() % 4
    kept = torch.zeros_like(steep_HW)
    for number, (down, right) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        behind = padded[1 - down : 1 - down + height, 1 - right : 1 - right + width]
        kept = torch.where((octant == number) & (steep_HW >= ahead) & (steep_HW > behind), steep_HW, kept)
    return kept


def xdog(options: Mapping[str, Any]) -> Predict:
    """Line art by an extended difference of Gaussians (Winnemoeller et al. 2012), black on white.

    Options: `sigma` in pixels at a short side of 512; `sharpness` p, `threshold` epsilon (0..1) and `steepness` phi of
    the paper.
    """

    def lines(pixels_CHW: Tensor) -> Tensor:
        gray_HW = _gray(pixels_CHW)
        sigma = options["sigma"] * min(gray_HW.shape) / 512
        near, far = _blurred(gray_HW, sigma), _blurred(gray_HW, 1.6 * sigma)
        # the paper's sharpened picture, over the local brightness: dark regions are drawn, not filled
        sharp = 1 + options["sharpness"] * (near - far) / (far + 0.1)
        ink = 1 + torch.tanh(options["steepness"] * (sharp - options["threshold"]))
        return torch.where(sharp >= options["threshold"], torch.ones_like(sharp), ink)

    return _each(lines)


def retinex(options: Mapping[str, Any]) -> Predict:
    """The picture over its smooth illumination, at several scales (Jobson et al. 1997, in linear light).

    Options: `sigma`, largest scale as a share of the short side. Shadows with edges and colours of light stay.
    """

    def reflectance(pixels_CHW: Tensor) -> Tensor:
        linear_CHW = (pixels_CHW / 255) ** 2.2
        light_HW = linear_CHW.mean(0) + 0.01
        widest = options["sigma"] * min(light_HW.shape)
        scales = torch.stack([_blurred(light_HW, widest / part) for part in (1, 3, 9)])
        shading_HW = scales.log().mean(0).exp()
        albedo_CHW = linear_CHW / shading_HW
        albedo_CHW = albedo_CHW / torch.quantile(albedo_CHW.flatten()[:: max(1, albedo_CHW.numel() // 2**20)], 0.99)
        return albedo_CHW.clamp(0, 1) ** (1 / 2.2)

    return _each(reflectance)


def _each(work: Callable[[Tensor], Tensor]) -> Predict:
    """Float pixels 0..255 (3, H, W) -> prediction, picture by picture, on the CPU."""

    def predict(views: Sequence[View]) -> list[np.ndarray]:
        with torch.inference_mode():
            return [work(torch.from_numpy(view.pixels_CHW.astype(np.float32))).numpy() for view in views]

    return predict


def _gray(pixels_CHW: Tensor) -> Tensor:
    return torch.einsum("chw,c->hw", pixels_CHW, torch.tensor(_LUMA)) / 255


def _blurred(plane_HW: Tensor, sigma: float) -> Tensor:
    """By a Gaussian; a wide one on a reduced picture."""
    if sigma > 8:  # its result has no detail that a reduced picture lacks
        height, width = plane_HW.shape
        factor = sigma / 4
        small = [max(8, round(side / factor)) for side in (height, width)]
        reduced = F.interpolate(plane_HW[None, None], small, mode="bilinear", antialias=True)[0, 0]
        blurred = _blurred(reduced, sigma * min(small) / min(height, width))
        return F.interpolate(blurred[None, None], (height, width), mode="bicubic")[0, 0].clamp(
            float(plane_HW.min()), float(plane_HW.max())
        )
    reach = max(1, round(3 * sigma))
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    padded = F.pad(plane_HW[None, None], (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])[0, 0]
