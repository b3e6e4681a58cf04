"""Noise; every call has a generator of its own, so that nothing depends on what ran before.

The numbers of a seed differ between a CPU and an accelerator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

_LUMA = (0.2989, 0.587, 0.114)


def gaussian(
    image_CHW: Tensor, sigma: float, gray: bool, seed: int, covariance: list[list[float]] | None = None
) -> Tensor:
    """Add Gaussian noise and clip to 0..1.

    Args:
        image_CHW: float32, 0..1.
        sigma: standard deviation, of 255.
        gray: the same noise in all channels.
        seed: of the noise.
        covariance: of the three channels, in place of sigma and gray; of 255 squared (BSRGAN, section 3.3).
    """
    channels = 1 if gray else 3
    generator = torch.Generator(image_CHW.device).manual_seed(seed)
    noise = torch.randn(channels, *image_CHW.shape[1:], generator=generator, device=image_CHW.device)
    if covariance is not None:
        values, vectors = torch.linalg.eigh(torch.tensor(covariance, dtype=torch.float64))
        mixed = (vectors * values.abs().sqrt()).to(noise)  # the covariance drawn is not always positive
        noise, sigma = torch.einsum("dc,chw->dhw", mixed, noise), 1.0
    return torch.add(image_CHW, noise, alpha=sigma / 255).clamp_(0, 1)


def poisson(image_CHW: Tensor, scale: float, gray: bool, seed: int) -> Tensor:
    """Add `scale` times Poisson noise and clip to 0..1.

    As in Real-ESRGAN's code: the image is rounded to 8 bits, its values are counts out of the smallest power of two
    that is not below the number of different levels in the image, and the noise is the Poisson sample minus the mean.

    Args:
        image_CHW: float32, 0..1.
        scale: factor of the noise.
        gray: noise of the luma, the same in all channels.
        seed: of the noise.
    """
    base = image_CHW
    if gray:
        weights = torch.tensor(_LUMA, device=image_CHW.device)
        base = torch.einsum("c,chw->hw", weights, image_CHW)[None]
    levels = (base * 255).round_().clamp_(0, 255)
    seen = torch.zeros(256, device=levels.device)
    seen[levels.flatten().to(torch.uint8).int()] = 1
    counts = 2 ** torch.ceil(torch.log2(seen.sum()))
    mean = levels / 255
    generator = torch.Generator(image_CHW.device).manual_seed(seed)
    noise = torch.poisson(mean * counts, generator=generator) / counts - mean
    return torch.add(image_CHW, noise, alpha=scale).clamp_(0, 1)
