"""Cells -> numbers with intervals: photographs and seeds are drawn again, the same ones for both sides of a difference.

A two-way bootstrap (Owen 2007, arXiv 0712.1111, section 3: it errs on the side of wide intervals).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genir.shards.files import Row

RESAMPLES = 2000
LEVEL = 0.95


class Interval(NamedTuple):
    """A mean, and where it lies in the middle 95 % of the resamples."""

    value: float
    low: float
    high: float


def by_photograph(cells: Sequence[Sequence[Row]], metric: str) -> np.ndarray:
    """The rows of every seed -> means over the crops of a photograph, (seeds, photographs)."""
    found = []
    for rows in cells:
        values = defaultdict[str, list[float]](list)
        for row in rows:
            values[row["photograph"]].append(row[metric])
        found.append([np.mean(values[name]) for name in sorted(values)])
    return np.array(found)


def interval(values_SP: np.ndarray) -> Interval:
    """Of the mean of (seeds, photographs)."""
    rng = np.random.default_rng(7)
    seeds, photographs = values_SP.shape
    seeds_BS, photographs_BP = (
        rng.multinomial(count, [1 / count] * count, size=RESAMPLES) / count for count in (seeds, photographs)
    )
    means_B = np.einsum("bs,sp,bp->b", seeds_BS, values_SP, photographs_BP)
    low, high = np.quantile(means_B, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values_SP.mean()), float(low), float(high))
