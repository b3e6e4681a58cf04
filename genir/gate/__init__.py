"""Samples -> judged samples: every gate scores every image, nothing is dropped.

A gate measures: it maps a batch to scores. What a score must be is said by checks (thresholds of the configuration,
`genir.records.Check`), so that other thresholds can be asked of stored scores without any gate.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from genir.errors import GenirError, ImageError, ModelError
from genir.halves import patiently
from genir.records import Check, Columns, Pictured, Score, Verdict, first_failing

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("genir")

# A fixed rule of the image size, so that scores are the same on every launch. Four images of 1024 px at once take up to
# twice as long an image on a CPU as one by one: they do not fit into its caches.
_PIXELS_PER_PASS = 1024 * 1024

Scores = dict[str, Score]


@dataclass(frozen=True)
class Gate:
    """One gate: what it measures, and how."""

    columns: Columns
    score: Callable[[Tensor, Sequence[str]], list[Scores]]
    """uint8 images (N, 3, H, W) and their N prompts ("": none) -> N rows of `columns`."""
    weights: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the weight files that decide the scores."""
    costly: bool = False
    """Images that another gate has already rejected are not scored: their columns stay null."""


def judge(
    samples: Sequence[Pictured], gates: Sequence[Gate], checks: Sequence[Check], score_only: bool, device: torch.device
) -> None:
    """Score every sample of a batch with every gate and give it its verdict; failed samples become error rows.

    Args:
        samples: of any sizes; those of one size are scored together.
        gates: all of them score every image, but costly ones, which come last.
        checks: asked in this order; the first that fails is the reason.
        score_only: keep everything that has pixels.
        device: where the images are put for the gates.
    """
    by_shape: dict[tuple[int, ...], list[Pictured]] = {}
    for sample in samples:
        if sample.pixels_CHW is not None:
            by_shape.setdefault(sample.pixels_CHW.shape, []).append(sample)
    for (_, height, width), alive in by_shape.items():
        per_pass = max(1, _PIXELS_PER_PASS // (height * width))
        for first in range(0, len(alive), per_pass):
            part = alive[first : first + per_pass]
            pixels = np.stack([sample.pixels_CHW for sample in part if sample.pixels_CHW is not None])
            images_NCHW = torch.from_numpy(pixels).to(device)
            for gate in sorted(gates, key=lambda gate: gate.costly):
                asked = [n for n, sample in enumerate(part) if not gate.costly or score_only or _passes(sample, checks)]
                for n in {*range(len(part))} - {*asked}:
                    part[n].scores |= dict.fromkeys(gate.columns)
                if asked:
                    _score(gate, [part[n] for n in asked], images_NCHW[asked] if gate.costly else images_NCHW)
    for sample in samples:
        sample.verdict = _verdict(sample, checks, score_only)


def check_size(gate: Gate, size_HW: tuple[int, int], device: torch.device) -> None:
    """Score a black image; raises GenirError where the gate cannot take one of that size."""
    try:
        gate.score(torch.zeros(1, 3, *size_HW, dtype=torch.uint8, device=device), [""])
    except (GenirError, torch.AcceleratorError):
        raise
    except Exception as error:  # networks of others say anything of an image that is too small
        name, message = next(iter(gate.columns)), f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise ModelError(
            f"gates: {name} cannot be measured on a black image of {size_HW[0]}x{size_HW[1]} pixels ({message}); "
            "choose another size, or leave the gate out"
        ) from error


def _passes(sample: Pictured, checks: Sequence[Check]) -> bool:
    """Does nothing that has been measured so far reject it?"""
    asked = [check for check in checks if check.column in sample.scores]
    return not (sample.error or sample.nonfinite or first_failing(asked, sample.scores))


def _score(gate: Gate, samples: Sequence[Pictured], images_NCHW: Tensor) -> None:
    """Score a batch; where a gate fails, image by image, so that one image cannot stop the run. `batch_executed` says
    so, because the last digits of a score may depend on the batch.
    """

    def score() -> list[Scores]:
        return gate.score(images_NCHW, [sample.prompt for sample in samples])

    try:
        rows = score() if len(samples) > 1 else patiently(score)
        for sample, scores in zip(samples, rows, strict=True):
            # a number that could not be computed is not measured: JSON has no NaN, and no threshold a use for it
            sample.scores |= {name: value if _is_finite(value) else None for name, value in scores.items()}
        return
    except (GenirError, torch.AcceleratorError) as error:
        if not isinstance(error, ImageError):
            raise
        for sample in samples:  # all of them have the size that the gate cannot take
            sample.error = sample.error or f"ImageError: {error}"
        return
    except Exception as error:  # noqa: BLE001 - whatever an image can provoke becomes its row
        message = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if len(samples) == 1:
        _check_gate(gate, samples[0], images_NCHW, message)
        log.warning("image %s could not be judged: %s", samples[0].key, message)
        samples[0].error = message
    else:
        for sample, image_CHW in zip(samples, images_NCHW, strict=True):
            sample.batch_executed = 1
            _score(gate, [sample], image_CHW[None])


def _check_gate(gate: Gate, sample: Pictured, images_NCHW: Tensor, message: str) -> None:
    """Score a black image of that size: a gate that cannot is no image's fault."""
    try:
        gate.score(torch.zeros_like(images_NCHW), [sample.prompt])
    except Exception as error:
        raise ModelError(
            f"image {sample.key} could not be judged: {message}; nor a black image: the device or the gate is at "
            "fault, not the image: mend it and run the same command again"
        ) from error


def _is_finite(value: Score) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _verdict(sample: Pictured, checks: Sequence[Check], score_only: bool) -> Verdict:
    if sample.error:
        return Verdict("error", f"error:{sample.error.partition(':')[0]}")
    if score_only:
        return Verdict("kept")
    reason = first_failing(checks, sample.scores)
    if sample.nonfinite and reason != "face":
        reason = "signal.nonfinite"
    return Verdict("rejected", reason) if reason else Verdict("kept")
