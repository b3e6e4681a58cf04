"""Exact bounds against scipy's beta quantiles, and by their definition."""

import pytest
from scipy.stats import beta

from genir.bounds import lower_bound, upper_bound

COUNTS = [(0, 1), (0, 300), (1, 300), (7, 50), (50, 50), (49, 50), (3, 100_000), (0, 1_000_000), (500, 1000)]


@pytest.mark.parametrize(("found", "of"), COUNTS)
@pytest.mark.parametrize("confidence", [0.95, 0.975])
def test_clopper_and_pearson(found, of, confidence):
    high = 1.0 if found == of else beta.ppf(confidence, found + 1, of - found)
    low = 0.0 if found == 0 else beta.ppf(1 - confidence, found, of - found + 1)
    assert upper_bound(found, of, confidence) == pytest.approx(high, rel=1e-8)
    assert lower_bound(found, of, confidence) == pytest.approx(low, rel=1e-8)


def test_nothing_found_is_the_rule_of_three():
    assert upper_bound(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert 0.0099 < upper_bound(0, 300) < 0.01


@pytest.mark.parametrize(("found", "of"), [(1, 0), (-1, 5), (6, 5), (0, 0)])
def test_impossible_counts(found, of):
    with pytest.raises(ValueError, match="is no share"):
        upper_bound(found, of)
