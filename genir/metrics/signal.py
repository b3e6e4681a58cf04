"""Checks of the signal itself, without any model: flat, blurred, blocky, black or clipped images.

All of them depend on the resolution at which an image is looked at: thresholds belong to one size
(docs/methods.md has distributions for 128 and 1024 pixels).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genir.metrics.gray import gray
from genir.metrics.mscn import tiles

CHECKS = ("entropy", "laplacian", "flat", "blockiness", "mean", "std", "clipped")
"""What `signal` returns, in this order."""
SMALLEST_SIDE = 32
FLAT_FRACTION = 240 / 1024
"""Side of a patch in `flat_share` as a fraction of the short image side; LucidFlux: 240 px of 1024."""
FLAT_VARIANCE = 800.0
_BLOCK = 8
_SHIFT = 4
_FLOOR = 0.01


def signal(images_NCHW: Tensor) -> dict[str, Tensor]:
    """uint8 RGB 0..255 -> entropy, laplacian, flat, blockiness, mean, std, clipped: each (N,) float32.

    The functions below say what each is. An image's numbers do not depend on its neighbours in the batch.
    Raises GenirError for another dtype or shape and for sides below 32 pixels.
    """
    gray_NHW = gray(images_NCHW, "signal", SMALLEST_SIDE)
    scores = {
        "entropy": entropy(gray_NHW),
        "laplacian": laplacian_variance(gray_NHW),
        "flat": flat_share(gray_NHW),
        "blockiness": blockiness(gray_NHW),
        "mean": gray_NHW.mean(dim=(1, 2)),
        "std": gray_NHW.flatten(1).std(dim=1, correction=0),
        "clipped": clipped_share(images_NCHW),
    }
    return {name: values_N.float() for name, values_N in scores.items()}


def entropy(gray_NHW: Tensor) -> Tensor:
    """Luma, whole numbers 0..255 -> Shannon entropy of its histogram in bits (N,), 0..8; 0 = one value only.

    UltraFlux keeps images of at least 7.0 bits (arXiv 2511.18050).
    """
    n, height, width = gray_NHW.shape
    bins = gray_NHW.long().flatten(1) + 256 * torch.arange(n, device=gray_NHW.device)[:, None]
    share_NV = torch.bincount(bins.flatten(), minlength=256 * n).view(n, 256).double() / (height * width)
    return torch.special.xlogy(share_NV, share_NV).sum(dim=1).abs() / math.log(2)


def laplacian_variance(gray_NHW: Tensor) -> Tensor:
    """Luma 0..255 -> variance of its 3x3 four-neighbour Laplacian, inner pixels, (N,); low means blurred.

    LucidFlux keeps 150..8000 at native size (arXiv 2509.22414); it falls to about zero when an image is
    enlarged.
    """
    centre = gray_NHW[:, 1:-1, 1:-1]
    across = gray_NHW[:, 1:-1, :-2] + gray_NHW[:, 1:-1, 2:]
    down = gray_NHW[:, :-2, 1:-1] + gray_NHW[:, 2:, 1:-1]
    return (across + down - 4 * centre).flatten(1).var(dim=1, correction=0)


def flat_share(gray_NHW: Tensor) -> Tensor:
    """Luma 0..255 -> fraction of patches that are flat (N,), 0..1.

    Whole, non-overlapping square patches from the top left; side = 240/1024 of the short image side. A
    patch is flat when the variance of its Sobel gradient magnitude (3x3 kernels 1 2 1, not normalised) is
    below 800. LucidFlux (arXiv 2509.22414) uses 240 pixels and drops images with more than half of their
    patches flat.
    """
    columns = gray_NHW[:, :-2] + 2 * gray_NHW[:, 1:-1] + gray_NHW[:, 2:]
    rows = gray_NHW[:, :, :-2] + 2 * gray_NHW[:, :, 1:-1] + gray_NHW[:, :, 2:]
    across, down = columns[:, :, 2:] - columns[:, :, :-2], rows[:, 2:] - rows[:, :-2]
    magnitude_NHW = (across * across + down * down).sqrt()
    side = round(min(gray_NHW.shape[1:]) * FLAT_FRACTION)
    variance_NK = tiles(magnitude_NHW, side).flatten(2).var(dim=2, correction=0)
    return (variance_NK < FLAT_VARIANCE).double().mean(dim=1)


def blockiness(gray_NHW: Tensor) -> Tensor:
    """Luma 0..255 -> traces of an 8x8 JPEG grid at the image origin (N,), 0.. ; high means JPEG-compressed.

    For each of the 64 orthonormal DCT coefficients, V is the mean over the inner 8x8 blocks of
    sqrt((left + right - 2 own)^2 + (above + below - 2 own)^2); V' is the same on the grid shifted by 4
    pixels both ways. The score is the sum over the coefficients of |V' - V| / max(V, 0.01). Source:
    Bhardwaj and Pankajakshan, Signal Processing: Image Communication 68, 2018; used by DiverSeg (arXiv
    2409.00768). A grid that does not start at the origin, as after a crop, is not seen. Few blocks make it
    noisy: on 128 px images it is about 8 times larger than on 1024 px for the same clean picture.
    """
    aligned_N64, shifted_N64 = _block_contrast(gray_NHW), _block_contrast(gray_NHW[:, _SHIFT:, _SHIFT:])
    return ((shifted_N64 - aligned_N64).abs() / aligned_N64.clamp(min=_FLOOR)).sum(dim=1)


def clipped_share(images_NCHW: Tensor) -> Tensor:
    """uint8 RGB -> fraction of pixels that are pure black or pure white in all three channels (N,), 0..1."""
    low_NHW, high_NHW = images_NCHW.amin(dim=1), images_NCHW.amax(dim=1)
    return ((high_NHW == 0) | (low_NHW == 255)).double().mean(dim=(1, 2))


def _block_contrast(gray_NHW: Tensor) -> Tensor:
    """V of `blockiness` for each of the 64 coefficients: (N, 64)."""
    basis = _dct_basis(gray_NHW)
    blocks_NRC88 = gray_NHW.unfold(1, _BLOCK, _BLOCK).unfold(2, _BLOCK, _BLOCK)
    dct = basis @ blocks_NRC88 @ basis.T
    own = 2 * dct[:, 1:-1, 1:-1]
    across = dct[:, 1:-1, :-2] + dct[:, 1:-1, 2:] - own
    down = dct[:, :-2, 1:-1] + dct[:, 2:, 1:-1] - own
    return (across * across + down * down).sqrt().mean(dim=(1, 2)).flatten(1)


def _dct_basis(like: Tensor) -> Tensor:
    """Orthonormal DCT-II matrix, (frequency, position)."""
    k = torch.arange(_BLOCK, dtype=like.dtype, device=like.device)
    basis = torch.cos(torch.pi * k[:, None] * (k[None] + 0.5) / _BLOCK) * math.sqrt(2 / _BLOCK)
    basis[0] /= math.sqrt(2)
    return basis
