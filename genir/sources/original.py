"""One HQ picture, not yet read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

NO_PIXELS = "no pixels"
"""Reason of an image that a selection keeps although its run did not: `genir regenerate` makes them."""


@dataclass(frozen=True, slots=True)
class Original:
    """One picture of a source."""

    key: str
    """Nine digits: its number in the source; a run's own key."""
    name: str
    """Where it lies: a key of a run, a file of a folder, a tar and a sample in it."""
    text: str
    """Its prompt or caption, "" where there is none."""
    reason: str
    """Why it is not taken ("face", "not selected", ...); "": it is taken."""
    read: Callable[[], tuple[np.ndarray, bool]]
    """uint8 RGB (3, H, W) pixels, and whether a model made them; raises ImageError."""
    category: str = ""
    """Of its prompt in a run, in the JSON of a tar, the first subfolder of a folder; "" where nothing says it."""
