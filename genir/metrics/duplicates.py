"""Images that are there twice: which are the same, or nearly."""

from __future__ import annotations

import numpy as np


def earlier_equals(values_N: np.ndarray) -> np.ndarray:
    """For each value the place of the first that is equal to it (N,): its own, where there is none before it."""
    _, first, inverse = np.unique(values_N, return_index=True, return_inverse=True)
    return first[inverse]
