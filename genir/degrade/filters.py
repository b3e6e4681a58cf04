"""Filtering with a kernel of any shape, and unsharp masking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from genir.degrade import kernels

if TYPE_CHECKING:
    from torch import Tensor


def blur(image_CHW: Tensor, kernel_KK: Tensor) -> Tensor:
    """Correlate with the kernel; borders are reflected without repeating the edge.

    Through Fourier space: the time does not depend on the kernel. Agrees with the direct correlation to 1e-6.

    Args:
        image_CHW: float32.
        kernel_KK: odd side.
    """
    height, width = image_CHW.shape[-2:]
    reach = kernel_KK.shape[-1] // 2
    if reach < min(height, width):
        padded = functional.pad(image_CHW, (reach,) * 4, mode="reflect")
    else:  # reflected more than once
        padded = image_CHW[:, _reflected(height, reach, image_CHW)][:, :, _reflected(width, reach, image_CHW)]
    size = (_fast(height + 2 * reach), _fast(width + 2 * reach))
    spectrum = torch.fft.rfft2(padded, s=size)
    spectrum *= torch.fft.rfft2(kernel_KK.to(image_CHW), s=size).conj()
    return torch.fft.irfft2(spectrum, s=size)[:, :height, :width]


def unsharp_mask(image_CHW: Tensor, weight: float, radius: int, threshold: float) -> Tensor:
    """Sharpen where the difference to the blurred image exceeds the threshold; the image itself stays as it is.

    Real-ESRGAN's USM (arXiv 2107.10833, section 3.3): mask = blur(|x - blur(x)| > threshold), and in the masked
    places x + weight (x - blur(x)), clipped to 0..1.

    Args:
        image_CHW: float32, 0..1.
        weight: strength.
        radius: side of the Gaussian in pixels.
        threshold: of 255.
    """
    kernel = kernels.unsharp(radius)
    residual = image_CHW - blur(image_CHW, kernel)
    soft = blur((residual.abs() * 255 > threshold).to(image_CHW), kernel)
    sharp = (image_CHW + weight * residual).clamp(0, 1)
    return torch.lerp(image_CHW, sharp, soft)


def _reflected(length: int, reach: int, like: Tensor) -> Tensor:
    """Indices of an axis with `reach` reflected pixels on either side, however short it is."""
    period = max(2 * (length - 1), 1)
    index = torch.arange(-reach, length + reach, device=like.device) % period
    return torch.minimum(index, period - index) if length > 1 else torch.zeros_like(index)


def _fast(length: int) -> int:
    """The next length that a Fourier transform is quick with: 8 times a product of small primes."""
    length += -length % 8
    while not _is_smooth(length):
        length += 8
    return length


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5, 7, 11):
        while number % prime == 0:
            number //= prime
    return number == 1
