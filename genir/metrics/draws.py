"""Metrics that look at random crops (MANIQA, HyperIQA and TReS in pyiqa): the same crops at every call."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def same_draws(device: torch.device) -> Iterator[None]:
    """Inside, the random numbers of torch, numpy and Python begin anew; outside they go on as if none had been drawn.

    A score is then a function of the picture, not of how many were scored before it: a resumed run has the same rows.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)
