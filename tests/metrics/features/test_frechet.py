"""Frechet distance against scipy's matrix root, closed forms, and what users may do wrong."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from genir.errors import GenirError
from genir.metrics.features.frechet import frechet_distance


def reference(a: np.ndarray, b: np.ndarray) -> float:
    """As Heusel et al. compute it."""
    covariance_a, covariance_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(covariance_a @ covariance_b).real
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(covariance_a + covariance_b - 2 * root))


def test_it_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(300, 16)) @ rng.normal(size=(16, 16))
    b = rng.normal(size=(200, 16)) @ rng.normal(size=(16, 16)) + 1
    assert frechet_distance(torch.tensor(a), torch.tensor(b)) == pytest.approx(reference(a, b), rel=1e-6)


def test_one_dimension_by_hand() -> None:
    # means 0 and 3, standard deviations 1 and 2: 9 + (1 - 2)^2
    a, b = torch.tensor([[-1.0], [0.0], [1.0]]), torch.tensor([[1.0], [3.0], [5.0]])
    assert frechet_distance(a, b) == pytest.approx(10)


def test_a_shift_is_its_squared_length_also_for_fewer_images_than_features() -> None:
    a = torch.randn(20, 64, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-4)
    assert frechet_distance(a, a + 0.5) == pytest.approx(64 * 0.25, rel=1e-4)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (torch.zeros(1, 4), torch.zeros(9, 4), "sets of 1 and 9 images"),
        (torch.zeros(9, 4), torch.zeros(9, 5), r"\(9, 4\) and \(9, 5\)"),
        (torch.full((9, 4), torch.nan), torch.zeros(9, 4), "NaN"),
    ],
)
def test_what_cannot_be_compared_is_refused(a: torch.Tensor, b: torch.Tensor, said: str) -> None:
    with pytest.raises(GenirError, match=said):
        frechet_distance(a, b)
