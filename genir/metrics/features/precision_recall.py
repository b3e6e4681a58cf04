"""Improved precision and recall: are the images real ones, and are all kinds of real ones among them?"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from genir.errors import GenirError
from genir.metrics.features.checks import comparable

_BLOCK = 1024


class PrecisionRecall(NamedTuple):
    """Fractions 0..1."""

    precision: float
    """Of the generated images, those within the manifold of the real ones."""
    recall: float
    """Of the real images, those within the manifold of the generated ones."""


def precision_recall(generated_NF: Tensor, real_MF: Tensor, neighbours: int = 3) -> PrecisionRecall:
    """A set's manifold is the union of balls around its features, each reaching to the k-th neighbour.

    Kynkaanniemi et al. 2019 (arXiv 1904.06991), section 2, whose k is 3 (for 50,000 images a side). Recall of
    few images is low by itself: compare equal counts. Raises GenirError for `neighbours` below 1, fewer than
    `neighbours` + 1 rows, other shapes, NaN.
    """
    if neighbours < 1:
        raise GenirError(f"precision and recall: neighbours is {neighbours}, but at least 1 is needed")
    generated, real = comparable(generated_NF, real_MF, neighbours + 1, "precision and recall")
    return PrecisionRecall(_share_within(generated, real, neighbours), _share_within(real, generated, neighbours))


def _share_within(points_NF: Tensor, manifold_MF: Tensor, neighbours: int) -> float:
    # the nearest of a point to its own set is itself, so the k-th neighbour is the (k + 1)-th smallest
    radius_M = torch.cat([d.kthvalue(neighbours + 1, dim=1).values for d in _distances(manifold_MF, manifold_MF)])
    within = [(d <= radius_M).any(dim=1) for d in _distances(points_NF, manifold_MF)]
    return float(torch.cat(within).double().mean())


def _distances(a_NF: Tensor, b_MF: Tensor) -> list[Tensor]:
    # the direct form: the fast one turns the distance of equal points into rounding noise
    exact = "donot_use_mm_for_euclid_dist"
    return [torch.cdist(rows, b_MF, compute_mode=exact) for rows in a_NF.split(_BLOCK)]
