"""Exact bounds on a proportion (Clopper and Pearson 1934), from the binomial distribution itself."""

from __future__ import annotations

import math
from collections.abc import Callable

CONFIDENCE = 0.95
_STEPS = 60  # of a bisection: below 1e-15


def upper_bound(found: int, of: int, confidence: float = CONFIDENCE) -> float:
    """The largest share 0..1 under which `found` or fewer of `of` still have a probability of 1 - confidence.

    One-sided: the true share is above it with at most that probability. Raises ValueError for impossible counts.
    """
    _check(found, of)
    return 1.0 if found == of else _solve(lambda share: _at_most(found, of, share), 1 - confidence)


def lower_bound(found: int, of: int, confidence: float = CONFIDENCE) -> float:
    """The smallest share 0..1 under which `found` or more of `of` have a probability of 1 - confidence."""
    _check(found, of)
    return 0.0 if found == 0 else 1 - upper_bound(of - found, of, confidence)


def _check(found: int, of: int) -> None:
    if not (0 <= found <= of and of > 0):
        raise ValueError(f"{found} of {of} is no share")


def _at_most(found: int, of: int, share: float) -> float:
    """Probability of `found` or fewer among `of`."""
    if share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    ways = (math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1) for k in range(found + 1))
    hits, misses = math.log(share), math.log1p(-share)
    return math.fsum(math.exp(log + k * hits + (of - k) * misses) for k, log in enumerate(ways))


def _solve(probability: Callable[[float], float], wanted: float) -> float:
    """Where a falling function of a share has this value."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if probability(middle) > wanted else (low, middle)
    return high
