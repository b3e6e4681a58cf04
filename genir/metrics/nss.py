"""Natural scene statistics of a patch: the 36 features of NIQE.

Source: Mittal, Soundararajan, Bovik, "Making a 'Completely Blind' Image Quality Analyzer", Signal
Processing Letters 2013, section II; the fit of the asymmetric generalised Gaussian (AGGD) after Lasmar,
Stitou, Berthoumieu, ICIP 2009.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genir.metrics.mscn import mscn, tiles

FEATURES = 36
_ALPHA_LOW, _ALPHA_HIGH, _ALPHA_STEPS = 0.2, 10.0, 9801
_SKEW_LIMIT = 1e3
_TINY = 1e-12


def patch_features(gray_NHW: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Luma 0..255 in float64 -> features (N, K, 36) and sharpness (N, K) of the K whole patches.

    18 features at the native scale, then 18 at half of it (antialiased bicubic), where a patch has half the
    side. `patch` must be even. Sharpness is the mean local standard deviation of a patch. Never NaN: a
    constant patch has the lowest shape and zero width.
    """
    height, width = (side // patch * patch for side in gray_NHW.shape[1:])
    gray_NHW = gray_NHW[:, :height, :width]
    half_NHW = F.interpolate(
        gray_NHW[:, None], (height // 2, width // 2), mode="bicubic", antialias=True, align_corners=False
    )[:, 0]
    coefficients_NHW, deviation_NHW = mscn(gray_NHW)
    half_coefficients_NHW, _ = mscn(half_NHW)
    native = _statistics(tiles(coefficients_NHW, patch))
    half = _statistics(tiles(half_coefficients_NHW, patch // 2))
    sharpness_NK = tiles(deviation_NHW, patch).mean(dim=(2, 3))
    return torch.cat([native, half], dim=2), sharpness_NK


def _statistics(patches_NKHW: Tensor) -> Tensor:
    """MSCN patches -> (N, K, 18): shape, width; shape, mean and two widths of four neighbour products."""
    alpha, left, right, _ = fit_aggd(patches_NKHW.flatten(2))
    features = [alpha, (left + right) / 2]
    upper, lower = patches_NKHW[..., :-1, :], patches_NKHW[..., 1:, :]
    products = (
        patches_NKHW[..., :-1] * patches_NKHW[..., 1:],
        upper * lower,
        upper[..., :-1] * lower[..., 1:],
        upper[..., 1:] * lower[..., :-1],
    )
    for product in products:
        alpha, left, right, mean = fit_aggd(product.flatten(2))
        features += [alpha, mean, left, right]
    return torch.stack(features, dim=2)


def fit_aggd(x_NKV: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fit an AGGD to the last axis by moments -> shape 0.2..10, left width, right width, mean; each (N, K).

    The widths are the beta_l and beta_r of the paper (eq. 8-9), the mean is eq. 10.
    """
    negative, positive = x_NKV.clamp(max=0), x_NKV.clamp(min=0)
    left = _rms(negative, (x_NKV < 0).sum(dim=2))
    right = _rms(positive, (x_NKV > 0).sum(dim=2))
    skew = ((left + _TINY) / (right + _TINY)).clamp(1 / _SKEW_LIMIT, _SKEW_LIMIT)
    power = (x_NKV * x_NKV).mean(dim=2)
    peak = x_NKV.abs().mean(dim=2) ** 2 / power.clamp(min=_TINY)
    ratio = peak * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    alpha = _alpha_of(ratio)
    one, two, three = (torch.lgamma(k / alpha) for k in (1, 2, 3))
    spread = ((one - three) / 2).exp()
    left, right = left * spread, right * spread
    return alpha, left, right, (right - left) * (two - one).exp()


def _rms(x_NKV: Tensor, count_NK: Tensor) -> Tensor:
    return ((x_NKV * x_NKV).sum(dim=2) / count_NK.clamp(min=1)).sqrt()


def _alpha_of(ratio: Tensor) -> Tensor:
    """Invert rho(a) = gamma(2/a)^2 / (gamma(1/a) gamma(3/a)) by linear interpolation in a table.

    The published code takes the nearest table entry; interpolating keeps the score continuous in the pixels.
    """
    alphas = torch.linspace(_ALPHA_LOW, _ALPHA_HIGH, _ALPHA_STEPS, dtype=ratio.dtype, device=ratio.device)
    rho = (2 * torch.lgamma(2 / alphas) - torch.lgamma(1 / alphas) - torch.lgamma(3 / alphas)).exp()
    upper = torch.searchsorted(rho, ratio.contiguous()).clamp(1, _ALPHA_STEPS - 1)
    low, high = rho[upper - 1], rho[upper]
    part = ((ratio - low) / (high - low)).clamp(0, 1)
    return alphas[upper - 1] + part * (alphas[upper] - alphas[upper - 1])
