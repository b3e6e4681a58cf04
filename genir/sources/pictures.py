"""Originals -> pictures in memory; what cannot be read says why."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from genir.records import Score, Verdict
from genir.sources.original import Original

log = logging.getLogger("genir")

READERS = 4  # threads: decoders do not hold Python's lock


@dataclass(slots=True)
class Picture:
    """One original that was read; the gates fill in scores and verdict."""

    original: Original
    pixels_CHW: np.ndarray | None = None
    """uint8 RGB; None: it is not taken, or cannot be read."""
    synthetic: bool | None = None
    nonfinite: bool = False
    batch_executed: int | None = None
    error: str = ""
    scores: dict[str, Score] = field(default_factory=dict)
    verdict: Verdict | None = None

    @property
    def key(self) -> str:
        """Nine digits."""
        return self.original.key

    @property
    def prompt(self) -> str:
        """Its prompt or caption."""
        return self.original.text


def pictures(batches: Iterable[list[Original]]) -> Iterator[list[Picture]]:
    """Read every original that is taken; batch by batch, in order."""
    with ThreadPoolExecutor(READERS, "reader") as pool:
        for originals in batches:
            yield list(pool.map(_read, originals))


def _read(original: Original) -> Picture:
    if original.reason:
        return Picture(original)
    try:
        pixels_CHW, synthetic = original.read()
    except Exception as error:  # noqa: BLE001 - whatever a file can provoke in a decoder becomes its row
        message = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        log.warning("picture %s (%s) cannot be read: %s", original.key, original.name, message)
        return Picture(original, error=message)
    return Picture(original, pixels_CHW, synthetic)
