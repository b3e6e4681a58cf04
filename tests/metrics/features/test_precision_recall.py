"""Precision and recall by hand and against scikit-learn's neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from genir.errors import GenirError
from genir.metrics.features.precision_recall import precision_recall


def reference(points: np.ndarray, manifold: np.ndarray, neighbours: int) -> float:
    """Equations 1 and 2 of Kynkaanniemi et al. with full matrices."""
    radius = np.sort(cdist(manifold, manifold), axis=1)[:, neighbours]
    return float((cdist(points, manifold) <= radius).any(axis=1).mean())


def test_it_is_the_definition() -> None:
    rng = np.random.default_rng(0)
    generated, real = rng.normal(size=(1300, 3)) * 0.5, rng.normal(size=(150, 3)) + 0.3
    for neighbours in (1, 3):
        found = precision_recall(torch.tensor(generated), torch.tensor(real), neighbours)
        expected = reference(generated, real, neighbours), reference(real, generated, neighbours)
        assert found == pytest.approx(expected, abs=1e-12)
    assert 0.02 < found.recall < 0.98


def test_by_hand_on_a_line() -> None:
    """Real 0, 1, 2 and 10 reach 1, 1, 1 and 8: up to 18. The generated ones reach 1: 0.5..3.5 and 19..23."""
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
    generated = torch.tensor([[20.0], [21.0], [22.0], [2.5], [1.5]])
    assert precision_recall(generated, real, neighbours=1) == (0.4, 0.5)


def test_a_fallen_mode_costs_recall_only_and_noise_costs_precision_only() -> None:
    numbers = torch.Generator().manual_seed(0)
    real = torch.cat([torch.randn(200, 4, generator=numbers), torch.randn(200, 4, generator=numbers) + 20])
    one_mode = torch.randn(400, 4, generator=numbers)
    precision, recall = precision_recall(one_mode, real)
    assert precision > 0.9
    assert recall < 0.55
    noisy = torch.cat([real, 100 * torch.randn(400, 4, generator=numbers)])
    precision, recall = precision_recall(noisy, real)
    assert precision < 0.55
    assert recall == 1


def test_equal_images_are_within_a_manifold_of_radius_zero() -> None:
    same = torch.full((5, 3), 0.1)
    assert precision_recall(same, same) == (1, 1)


@pytest.mark.parametrize(("neighbours", "said"), [(0, "neighbours is 0"), (3, "at least 4 each")])
def test_what_cannot_be_measured_is_refused(neighbours: int, said: str) -> None:
    with pytest.raises(GenirError, match=said):
        precision_recall(torch.zeros(3, 2), torch.zeros(9, 2), neighbours)
