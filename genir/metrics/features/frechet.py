"""Frechet distance of two sets of features, as FID computes it (on Inception's)."""

from __future__ import annotations

import torch
from torch import Tensor

from genir.metrics.features.checks import comparable


def frechet_distance(a_NF: Tensor, b_MF: Tensor) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of the fitted Gaussians, 0.. , in float64.

    Dowson and Landau 1982; Heusel et al. 2017 (arXiv 1706.08500), section "FID". Biased upwards for small
    sets, more so the smaller they are: compare equal counts, and for fewer than some thousand images prefer
    `kernel_distance`. Raises GenirError for fewer than two rows, other shapes, NaN.
    """
    a, b = comparable(a_NF, b_MF, 2, "Frechet distance")
    covariance_a, covariance_b = (torch.atleast_2d(x.T.cov()) for x in (a, b))
    # tr (C_a C_b)^(1/2) by the symmetric root of C_a: eigenvalues stay real where sets are smaller than F
    values, vectors = torch.linalg.eigh(covariance_a)
    root_a = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root_a @ covariance_b @ root_a).clamp(min=0).sqrt().sum()
    gap = (a.mean(dim=0) - b.mean(dim=0)).square().sum()
    return max(0.0, float(gap + covariance_a.trace() + covariance_b.trace() - 2 * cross))
