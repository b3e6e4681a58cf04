"""Diversity of a set: how different are its images from each other?"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from genir.metrics.features.checks import comparable


class Diversity(NamedTuple):
    """Of the features of a set; both are higher where images differ more."""

    distance: float
    """Mean of 1 - cosine over all pairs of images: 0 = all are alike, 1 = features have nothing in common."""
    vendi: float
    """Effective number of different images, 1..N: grows with the set, so compare equal counts."""


def diversity(features_NF: Tensor) -> Diversity:
    """Mean pairwise distance, and the Vendi score under the cosine kernel, in float64.

    Friedman and Dieng 2023 (arXiv 2210.02410), definition 3.1: the exponential of the entropy of the eigenvalues of
    K / N. Raises GenirError for fewer than two rows, NaN.
    """
    features, _ = comparable(features_NF, features_NF, 2, "diversity")
    unit = features / features.norm(dim=1, keepdim=True).clamp(min=1e-12)
    count = len(unit)
    total = unit.sum(dim=0)
    mean_cosine = (total.dot(total) - count) / (count * (count - 1))
    # K = U U^T / N and U^T U / N have the same eigenvalues but for zeros
    gram = unit @ unit.T if count <= unit.shape[1] else unit.T @ unit
    values = torch.linalg.eigvalsh(gram / count).clamp(min=0)
    return Diversity(float(1 - mean_cosine), float(torch.special.entr(values).sum().exp()))
