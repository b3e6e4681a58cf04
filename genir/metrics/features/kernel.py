"""Kernel distance of two sets of features: the maximum mean discrepancy that KID computes (on Inception's)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from genir.metrics.features.checks import comparable

_DEGREE = 3
_BLOCK = 1024
"""Rows of a kernel matrix at a time, so that memory grows with N and not with N^2."""


class KernelDistance(NamedTuple):
    """An estimate and how far it may be off."""

    value: float
    """Unbiased: 0 on average for equal distributions, so it may be slightly negative."""
    standard_error: float


def kernel_distance(a_NF: Tensor, b_MF: Tensor) -> KernelDistance:
    """Unbiased squared MMD under the kernel (x . y / F + 1)^3, over all pairs, in float64.

    Binkowski et al. 2018 (arXiv 1801.01401), section 4 and equation 4. KID's customary mean over random
    subsets of 1000 has the same expectation with more variance, and its spread over overlapping subsets is no
    standard error; here that is the jackknife over single images of both sets (Efron and Stein 1981), which
    takes the sets as independent draws. (Sets with equally many images of each class are not: they make the
    distance of equals negative, by the same amount in every comparison of such sets.) Raises GenirError for
    fewer than three rows, other shapes, NaN.
    """
    a, b = comparable(a_NF, b_MF, 3, "kernel distance")
    n, m = len(a), len(b)
    a_N, b_M = _sums(a, a) - _kernel_diagonal(a), _sums(b, b) - _kernel_diagonal(b)
    ab_N, ab_M = _sums(a, b), _sums(b, a)
    own_a, own_b, cross = a_N.sum(), b_M.sum(), ab_N.sum()

    def distance(own_a: Tensor, n: int, own_b: Tensor, m: int, cross: Tensor) -> Tensor:
        return own_a / (n * (n - 1)) + own_b / (m * (m - 1)) - 2 * cross / (n * m)

    without_a_N = distance(own_a - 2 * a_N, n - 1, own_b, m, cross - ab_N)
    without_b_M = distance(own_a, n, own_b - 2 * b_M, m - 1, cross - ab_M)
    variance = (n - 1) ** 2 / n * without_a_N.var() + (m - 1) ** 2 / m * without_b_M.var()
    return KernelDistance(float(distance(own_a, n, own_b, m, cross)), float(variance.sqrt()))


def _sums(a_NF: Tensor, b_MF: Tensor) -> Tensor:
    """Sum over b of the kernel, for each row of a (N,)."""
    width = a_NF.shape[1]
    return torch.cat([(rows @ b_MF.T / width + 1).pow(_DEGREE).sum(dim=1) for rows in a_NF.split(_BLOCK)])


def _kernel_diagonal(a_NF: Tensor) -> Tensor:
    return (a_NF.square().mean(dim=1) + 1).pow(_DEGREE)
