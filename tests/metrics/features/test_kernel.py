"""Kernel distance against the double sum, a case by hand, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genir.errors import GenirError
from genir.metrics.features.kernel import kernel_distance, kernel_gain, paired_kernel_distance


def reference(a: np.ndarray, b: np.ndarray) -> float:
    """Equation 4 of Binkowski et al., with loops."""

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (x @ y / len(x) + 1) ** 3

    n, m = len(a), len(b)
    own_a = sum(kernel(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    own_b = sum(kernel(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return own_a + own_b - 2 * sum(kernel(x, y) for x in a for y in b) / (n * m)


def reference_error(a: np.ndarray, b: np.ndarray) -> float:
    """The jackknife, leaving each image out in turn."""
    variance = 0.0
    for left_out in ([reference(np.delete(a, i, 0), b) for i in range(len(a))],
                     [reference(a, np.delete(b, i, 0)) for i in range(len(b))]):  # fmt: skip
        variance += (len(left_out) - 1) * np.var(left_out)
    return variance**0.5


def draws(number: int, count: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(number)) + shift


def test_it_is_the_formula_and_its_jackknife() -> None:
    a, b = draws(0, 13), draws(1, 9, 0.4)
    value, error = kernel_distance(a, b)
    assert value == pytest.approx(reference(a.double().numpy(), b.double().numpy()), rel=1e-9)
    assert error == pytest.approx(reference_error(a.double().numpy(), b.double().numpy()), rel=1e-9)


def test_by_hand() -> None:
    # one feature; kernel 1 with 0, 8 between ones: 8 within the ones, 1 within the zeros, 1 across
    assert kernel_distance(torch.ones(3, 1), torch.zeros(4, 1)) == pytest.approx((8 + 1 - 2, 0), abs=1e-12)


def test_sets_larger_than_a_block() -> None:
    a, b = draws(2, 1500), draws(3, 1100, 0.2)
    kernels = [(x.double() @ y.double().T / 8 + 1) ** 3 for x, y in ((a, a), (b, b), (a, b))]
    own = [(k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in kernels[:2]]
    assert kernel_distance(a, b).value == pytest.approx(float(own[0] + own[1] - 2 * kernels[2].mean()), rel=1e-9)


def test_it_is_unbiased_and_its_error_is_the_spread_of_repetitions() -> None:
    """100 repetitions: the mean is 0 for equal distributions, the standard error what the values spread by."""
    same = np.array([kernel_distance(draws(2 * k, 60), draws(2 * k + 1, 60)) for k in range(100)])
    assert abs(same[:, 0].mean()) < 3 * same[:, 0].std() / 10
    apart = np.array([kernel_distance(draws(2 * k, 60), draws(2 * k + 1, 60, 0.7)) for k in range(100)])
    assert apart[:, 0].mean() > 10 * apart[:, 0].std() / 10
    assert apart[:, 1].mean() == pytest.approx(apart[:, 0].std(), rel=0.25)


def test_two_images_are_refused() -> None:
    with pytest.raises(GenirError, match="kernel distance: sets of 2 and 9 images, but at least 3 each"):
        kernel_distance(draws(0, 2), draws(1, 9))


def test_images_of_a_group_are_no_pairs_and_are_left_out_together() -> None:
    """Doubling every image as a group of two changes nothing but the names of the rows."""
    a, b = draws(4, 11), draws(5, 9, 0.5)
    groups = torch.arange(11)
    twice = kernel_distance(torch.cat([a, a]), b, torch.cat([groups, groups]) + 70)
    assert twice == pytest.approx(kernel_distance(a, b), rel=1e-9)


def test_a_gain_is_the_difference_and_its_error_that_of_pairs() -> None:
    noise, real = draws(6, 80), draws(7, 80)
    before, after = noise + 0.5, noise + 0.3
    gain = kernel_gain(before, after, real)
    one, other = kernel_distance(before, real), kernel_distance(after, real)
    assert gain.value == pytest.approx(one.value - other.value, rel=1e-9)
    assert 0 < gain.standard_error < one.standard_error
    assert kernel_gain(before, before, real) == (0, 0)


def test_the_error_of_a_gain_is_the_spread_of_repetitions() -> None:
    gains = []
    for k in range(100):
        noise = draws(3 * k, 40)
        gains.append(kernel_gain(noise + 0.6, noise + 0.2 + 0.5 * draws(3 * k + 1, 40), draws(3 * k + 2, 50)))
    spread = np.std([gain.value for gain in gains])
    assert np.mean([gain.standard_error for gain in gains]) == pytest.approx(spread, rel=0.25)


def test_rows_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(GenirError, match="kernel gain: 5 and 4 images"):
        kernel_gain(draws(0, 5), draws(1, 4), draws(2, 9))
    with pytest.raises(GenirError, match="2 groups of images, but at least 3"):
        kernel_distance(draws(0, 5), draws(1, 9), torch.tensor([0, 0, 1, 1, 1]))


def test_rows_that_belong_together_are_no_pairs():
    """Of equal distributions the distance is 0 on average, also where every row is nearly its partner."""
    torch.manual_seed(0)
    paired, plain = [], []
    for _ in range(60):
        a = torch.randn(16, 8)
        b = a + 0.1 * torch.randn(16, 8)
        paired.append(paired_kernel_distance(a, b))
        plain.append(kernel_distance(a, b))
    values = torch.tensor([one.value for one in paired])
    assert abs(values.mean()) < 3 * values.std() / len(values) ** 0.5 + 0.02
    assert torch.tensor([one.value for one in plain]).mean() < -0.3
    a, b = torch.randn(12, 8), torch.randn(12, 8) + 1
    kernel = (torch.cat([a, b]).double() @ torch.cat([a, b]).double().T / 8 + 1) ** 3
    own = kernel[:12, :12] + kernel[12:, 12:] - kernel[:12, 12:] - kernel[12:, :12]
    wanted = float(own.fill_diagonal_(0).sum() / (12 * 11))
    assert paired_kernel_distance(a, b).value == pytest.approx(wanted)
    with pytest.raises(GenirError, match="12 and 11 images"):
        paired_kernel_distance(a, b[:11])
