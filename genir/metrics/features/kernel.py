"""Kernel distance of two sets of features: the maximum mean discrepancy that KID computes (on Inception's)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from genir.errors import GenirError
from genir.metrics.features.checks import comparable

_DEGREE = 3
_BLOCK = 1024
"""Rows of a kernel matrix at a time, so that memory grows with N and not with N^2."""


class KernelDistance(NamedTuple):
    """An estimate and how far it may be off."""

    value: float
    """Unbiased: 0 on average for equal distributions, so it may be slightly negative."""
    standard_error: float


class _Estimate(NamedTuple):
    """The distance, and what it is without each group of a (G,) and without each row of b (M,)."""

    value: Tensor
    without_a_G: Tensor
    without_b_M: Tensor


def kernel_distance(a_NF: Tensor, b_MF: Tensor, groups_N: Tensor | None = None) -> KernelDistance:
    """Unbiased squared MMD under the kernel (x . y / F + 1)^3, over all pairs, in float64.

    Binkowski et al. 2018 (arXiv 1801.01401), section 4 and equation 4. KID's customary mean over random
    subsets of 1000 has the same expectation with more variance, and its spread over overlapping subsets is no
    standard error; here that is the jackknife over single images of both sets (Efron and Stein 1981), which
    takes the sets as independent draws. (Sets with equally many images of each class are not: they make the
    distance of equals negative, by the same amount in every comparison of such sets.) `groups_N` numbers the
    images of `a` that belong together, such as several of one caption: they are no pairs and are left out
    together. Raises GenirError for fewer than three rows or groups, other shapes, NaN.
    """
    return _judged(_estimate(a_NF, b_MF, groups_N))


def kernel_gain(before_NF: Tensor, after_NF: Tensor, real_MF: Tensor, groups_N: Tensor | None = None) -> KernelDistance:
    """How much nearer to `real` the second set is than the first: the difference of their distances.

    Row k of both belongs to one caption and noise, and both are compared with the same real images, so most of
    what makes a single distance uncertain cancels: the jackknife leaves out both rows together. Positive where
    `after` is nearer. Raises GenirError as `kernel_distance` does, and for sets of two lengths.
    """
    if len(before_NF) != len(after_NF):
        raise GenirError(f"kernel gain: {len(before_NF)} and {len(after_NF)} images, but rows must belong together")
    before, after = (_estimate(set_NF, real_MF, groups_N) for set_NF in (before_NF, after_NF))
    return _judged(_Estimate(*(one - other for one, other in zip(before, after, strict=True))))


def paired_kernel_distance(a_NF: Tensor, b_NF: Tensor) -> KernelDistance:
    """The distance of sets whose rows belong together, such as restored images and their own references.

    Gretton et al. 2012 (JMLR 13), lemma 6 with equation 3's h: a row and its partner are no pair, for they are not
    independent, and what is alike by restoring it would count as if the sets were nearer than equal ones. The standard
    error is the jackknife over partners. Raises GenirError as `kernel_distance` does, and for sets of two lengths.
    """
    if len(a_NF) != len(b_NF):
        raise GenirError(f"kernel distance: {len(a_NF)} and {len(b_NF)} images, but rows must belong together")
    a, b = comparable(a_NF, b_NF, 3, "kernel distance")
    rows_N, n = torch.arange(len(a), device=a.device), len(a)
    own_N = _sums(a, a, rows_N) + _sums(b, b, rows_N)
    cross_N = _sums(a, b, rows_N) + _sums(b, a, rows_N)
    sums_N = own_N - cross_N
    without_N = (sums_N.sum() - 2 * sums_N) / ((n - 1) * (n - 2))
    variance = (n - 1) ** 2 / n * without_N.var()
    return KernelDistance(float(sums_N.sum() / (n * (n - 1))), float(variance.sqrt()))


def _judged(estimate: _Estimate) -> KernelDistance:
    variance = sum((len(x) - 1) ** 2 / len(x) * x.var() for x in estimate[1:])
    return KernelDistance(float(estimate.value), float(variance**0.5))


def _estimate(a_NF: Tensor, b_MF: Tensor, groups_N: Tensor | None) -> _Estimate:
    a, b = comparable(a_NF, b_MF, 3, "kernel distance")
    n, m = len(a), len(b)
    rows_N, rows_M = (torch.arange(count, device=a.device) for count in (n, m))
    named_N = rows_N if groups_N is None else groups_N
    _, group_of_N, sizes_G = named_N.unique(return_inverse=True, return_counts=True)
    if len(sizes_G) < 3:
        raise GenirError(f"kernel distance: {len(sizes_G)} groups of images, but at least 3 are needed")

    def grouped(sums_N: Tensor) -> Tensor:
        return sums_N.new_zeros(len(sizes_G)).index_add(0, group_of_N, sums_N)

    a_G, b_M = grouped(_sums(a, a, group_of_N)), _sums(b, b, rows_M)
    ab_G, ab_M = grouped(_sums(a, b)), _sums(b, a)
    own_a, own_b, cross = a_G.sum(), b_M.sum(), ab_G.sum()
    pairs_a, pairs_b = n * n - sizes_G.square().sum(), m * (m - 1)
    without_a_G = (own_a - 2 * a_G) / (pairs_a - 2 * sizes_G * (n - sizes_G)) + own_b / pairs_b
    without_a_G = without_a_G - 2 * (cross - ab_G) / ((n - sizes_G) * m)
    without_b_M = own_a / pairs_a + (own_b - 2 * b_M) / ((m - 1) * (m - 2)) - 2 * (cross - ab_M) / (n * (m - 1))
    return _Estimate(own_a / pairs_a + own_b / pairs_b - 2 * cross / (n * m), without_a_G, without_b_M)


def _sums(a_NF: Tensor, b_MF: Tensor, groups_N: Tensor | None = None) -> Tensor:
    """Sum over b of the kernel, for each row of a (N,); with groups (of the rows of both) over other groups only."""
    sums = []
    for start in range(0, len(a_NF), _BLOCK):
        kernel = (a_NF[start : start + _BLOCK] @ b_MF.T / a_NF.shape[1] + 1).pow(_DEGREE)
        if groups_N is not None:
            kernel = kernel * (groups_N[start : start + _BLOCK, None] != groups_N[None])
        sums.append(kernel.sum(dim=1))
    return torch.cat(sums)
