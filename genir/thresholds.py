"""Thresholds at a chosen share of rejected references, and what they hit: plain numbers, no pictures.

Every check has one side: scores below (or above) its threshold are rejected. The share is that of all checks together,
not of each: a user loses so many good pictures, whatever the number of checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from genir.bounds import upper_bound

FOLDS = 5
ROC_RATES = (0.01, 0.02, 0.05, 0.10, 0.20)
Side = Literal["low", "high"]


@dataclass(frozen=True)
class Scores:
    """Scores of a set of pictures by check, (N, C); NaN where one could not be computed: that is rejected."""

    reference_NC: np.ndarray
    negatives_MC: np.ndarray
    sides: Sequence[Side]

    def __post_init__(self) -> None:
        """From here on large is bad, whatever the side, and what could not be computed is worst."""
        sign = np.array([-1.0 if side == "low" else 1.0 for side in self.sides])
        for name in ("reference_NC", "negatives_MC"):
            scores = getattr(self, name) * sign
            object.__setattr__(self, name, np.where(np.isnan(scores), np.inf, scores))

    def threshold(self, check: int, limits_C: np.ndarray) -> float:
        """A limit as the configuration has it."""
        return float(-limits_C[check] if self.sides[check] == "low" else limits_C[check])


def limits_at(scores_NC: np.ndarray, reject: float) -> np.ndarray:
    """The tightest limits (C,) that reject at most `reject` of the rows together.

    All columns cut off equally many of their worst scores first; what is left of the share goes to single columns, one
    score at a time, in their order. A limit is a score of the set itself, which stays inside. Raises ValueError where
    even the loosest limits reject more: scores that could not be computed.
    """
    ordered_NC = np.sort(scores_NC, axis=0)
    count, columns = scores_NC.shape

    def limits(cut_C: np.ndarray) -> np.ndarray:
        return _finite(ordered_NC, count - 1 - cut_C)

    def fits(cut_C: np.ndarray) -> bool:
        return bool(cut_C.max() < count) and share_rejected(scores_NC, limits(cut_C)) <= reject

    none_C = np.zeros(columns, np.int64)
    if not fits(none_C):
        share = share_rejected(scores_NC, limits(none_C))
        raise ValueError(f"{share:.1%} of the pictures have a score that could not be computed")
    low, high = 0, count - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(none_C + middle) else (low, middle - 1)
    cut_C, grown = none_C + low, True
    while grown:
        grown = False
        for column in range(columns):
            more_C = cut_C.copy()
            more_C[column] += 1
            if fits(more_C):
                cut_C, grown = more_C, True
    return limits(cut_C)


def _finite(ordered_NC: np.ndarray, places_C: np.ndarray | int) -> np.ndarray:
    """The scores at these ranks, but no limit beyond the largest number of its column."""
    largest_C = np.where(np.isfinite(ordered_NC), ordered_NC, -np.inf).max(axis=0)
    at_C = ordered_NC[places_C, np.arange(ordered_NC.shape[1])]
    return np.minimum(at_C, largest_C)


def share_rejected(scores_NC: np.ndarray, limits_C: np.ndarray) -> float:
    """Share of the rows beyond one of the limits; NaN of no rows."""
    return float((scores_NC > limits_C).any(axis=1).mean()) if len(scores_NC) else float("nan")


def held_out(scores_NC: np.ndarray, reject: float) -> tuple[float, float]:
    """(share, 95 % upper bound) of references rejected by limits that were set on others: five folds.

    The share on the set itself is at most `reject` by construction; this is what new pictures of the kind meet.
    """
    folds = np.arange(len(scores_NC)) % FOLDS
    found = 0
    for fold in range(FOLDS):
        limits_C = limits_at(scores_NC[folds != fold], reject)
        found += int((scores_NC[folds == fold] > limits_C).any(axis=1).sum())
    return found / len(scores_NC), upper_bound(found, len(scores_NC))


def roc(scores: Scores, check: int | None) -> tuple[np.ndarray, np.ndarray]:
    """(share of references rejected, share of negatives rejected), rising, of one check or of all together."""
    columns = slice(None) if check is None else slice(check, check + 1)
    own, others = scores.reference_NC[:, columns], scores.negatives_MC[:, columns]
    ordered = np.sort(own, axis=0)
    points = [(0.0, 0.0)]
    for place in range(len(own) - 1, -1, -max(1, len(own) // 200)):
        limits = _finite(ordered, place)
        points.append((share_rejected(own, limits), share_rejected(others, limits)))
    points.append((1.0, 1.0))
    x, y = np.maximum.accumulate(np.array(points), axis=0).T
    return x, y


def area(x: np.ndarray, y: np.ndarray) -> float:
    """Area under a ROC curve, 0..1; 0.5 tells nothing apart."""
    return float(np.trapezoid(y, x))
