"""Pictures -> pairs; what cannot be read or is too small becomes a row with its reason."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from genir.errors import GenirError, ImageError
from genir.records import Verdict

if TYPE_CHECKING:
    from genir.degrade import Degrader, Pair
    from genir.sources import Original

log = logging.getLogger("genir")


@dataclass(frozen=True)
class Made:
    """What became of one picture in one epoch."""

    original: Original
    epoch: int | None
    """None: the picture was not degraded at all."""
    verdict: Verdict | None
    pair: Pair | None = None
    synthetic: bool | None = None
    error: str = ""


def make(batches: Iterable[list[Original]], degrade: Degrader, epochs: int) -> Iterator[list[Made]]:
    """Degrade every picture that is taken, `epochs` times; pictures that are not taken keep their reason.

    Raises:
        GenirError, torch.AcceleratorError: no picture's fault.
    """
    for originals in batches:
        yield [made for original in originals for made in _of(original, degrade, epochs)]


def _of(original: Original, degrade: Degrader, epochs: int) -> list[Made]:
    if original.reason:
        return [Made(original, None, Verdict("rejected", original.reason))]
    try:
        pixels_CHW, synthetic = original.read()
        pairs = [degrade([pixels_CHW], [original.key], epoch)[0] for epoch in range(epochs)]
    except (GenirError, torch.AcceleratorError) as error:
        if not isinstance(error, ImageError):
            raise
        return [_failed(original, error)]
    except Exception as error:  # noqa: BLE001 - whatever a picture can provoke becomes its row
        return [_failed(original, error)]
    return [Made(original, epoch, Verdict("kept"), pair, synthetic) for epoch, pair in enumerate(pairs)]


def _failed(original: Original, error: Exception) -> Made:
    message = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    log.warning("picture %s (%s) was not degraded: %s", original.key, original.name, message)
    return Made(original, None, Verdict("error", f"error:{type(error).__name__}"), error=message)
