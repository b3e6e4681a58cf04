"""Natural scene statistics of a patch: the 36 features of NIQE.

Source: Mittal, Soundararajan, Bovik, "Making a 'Completely Blind' Image Quality Analyzer", Signal
Processing Letters 2013, section II; the fit of the asymmetric generalised Gaussian (AGGD) after Lasmar,
Stitou, Berthoumieu, ICIP 2009.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from genir.metrics.mscn import Contrast, mscn, tiles

FEATURES = 36
_ALPHA_LOW, _ALPHA_HIGH, _ALPHA_STEPS = 0.2, 10.0, 9801
_SKEW_LIMIT = 1e3
_TINY = 1e-12
_SAMPLES = 5  # of a scale


def patch_features(contrast: Contrast, patch: int) -> tuple[Tensor, Tensor]:
    """Features (N, K, 36) of luma, and sharpness (N, K) of the K whole patches.

    18 features at the native scale, then 18 at half of it (antialiased bicubic), where a patch has half the
    side. `patch` must be even. Sharpness is the mean local standard deviation of a patch. Never NaN: a
    constant patch has the lowest shape and zero width.
    """
    gray_NHW = contrast.luma_NHW
    height, width = (side // patch * patch for side in gray_NHW.shape[1:])
    gray_NHW = gray_NHW[:, :height, :width]
    half_NHW = F.interpolate(
        gray_NHW[:, None], (height // 2, width // 2), mode="bicubic", antialias=True, align_corners=False
    )[:, 0]
    coefficients_NHW, deviation_NHW = contrast.mscn(height, width)
    native, half = tiles(coefficients_NHW, patch), tiles(mscn(half_NHW)[0], patch // 2)
    fits = fit_aggd(itertools.chain(_samples(native), _samples(half)))
    features = []
    for number, (alpha, left, right, mean) in enumerate(zip(*fits, strict=True)):
        # shape, width; shape, mean and two widths of four neighbour products
        features += [alpha, mean, left, right] if number % _SAMPLES else [alpha, (left + right) / 2]
    return torch.stack(features, dim=2), tiles(deviation_NHW, patch).mean(dim=(2, 3))


def _samples(patches_NKHW: Tensor) -> Iterator[Tensor]:
    """MSCN patches -> their coefficients, then four neighbour products; each (N, K, V)."""
    upper, lower = patches_NKHW[..., :-1, :], patches_NKHW[..., 1:, :]
    yield patches_NKHW.flatten(2)
    yield (patches_NKHW[..., :-1] * patches_NKHW[..., 1:]).flatten(2)
    yield (upper * lower).flatten(2)
    yield (upper[..., :-1] * lower[..., 1:]).flatten(2)
    yield (upper[..., 1:] * lower[..., :-1]).flatten(2)


def fit_aggd(samples: Iterable[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fit an AGGD to the last axis of every sample (N, K, V) by moments -> shape 0.2..10, left width, right width,
    mean; each (samples, N, K).

    The widths are the beta_l and beta_r of the paper (eq. 8-9), the mean is eq. 10.
    """
    left, right, power, size = (torch.stack(one) for one in zip(*map(_moments, samples), strict=True))
    skew = ((left + _TINY) / (right + _TINY)).clamp(1 / _SKEW_LIMIT, _SKEW_LIMIT)
    ratio = size**2 / power.clamp(min=_TINY) * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    alpha = _alpha_of(ratio)
    one, two, three = (torch.lgamma(k / alpha) for k in (1, 2, 3))
    spread = ((one - three) / 2).exp()
    left, right = left * spread, right * spread
    return alpha, left, right, (right - left) * (two - one).exp()


def _moments(x_NKV: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Root mean squares of the negative and of the positive numbers, mean square and mean size of all; each (N, K)."""
    count, signs_NKV = x_NKV.shape[2], x_NKV.sign()
    more_NK = signs_NKV.sum(dim=2)  # positive than negative ones
    any_NK = signs_NKV.abs_().sum(dim=2)
    squares, sums = [], []
    for part_NKV in (x_NKV.clamp(max=0), x_NKV.clamp(min=0)):
        squares.append(torch.linalg.vector_norm(part_NKV, dim=2).square())
        sums.append(part_NKV.sum(dim=2))
    left, right = (
        (square / (number / 2).clamp(min=1)).sqrt()
        for square, number in zip(squares, (any_NK - more_NK, any_NK + more_NK), strict=True)
    )
    return left, right, (squares[0] + squares[1]) / count, (sums[1] - sums[0]) / count


@cache
def _table(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Shapes a, and rho(a) = gamma(2/a)^2 / (gamma(1/a) gamma(3/a))."""
    alphas = torch.linspace(_ALPHA_LOW, _ALPHA_HIGH, _ALPHA_STEPS, dtype=dtype, device=device)
    return alphas, (2 * torch.lgamma(2 / alphas) - torch.lgamma(1 / alphas) - torch.lgamma(3 / alphas)).exp()


def _alpha_of(ratio: Tensor) -> Tensor:
    """Invert rho by linear interpolation in its table.

    The published code takes the nearest table entry; interpolating keeps the score continuous in the pixels.
    """
    alphas, rho = _table(ratio.dtype, ratio.device)
    upper = torch.searchsorted(rho, ratio.contiguous()).clamp(1, _ALPHA_STEPS - 1)
    low, high = rho[upper - 1], rho[upper]
    part = ((ratio - low) / (high - low)).clamp(0, 1)
    return alphas[upper - 1] + part * (alphas[upper] - alphas[upper - 1])
