"""Samples -> judged samples: every gate scores every image, nothing is dropped.

A gate is two functions: scores of a batch, and the name of the check that a score fails. Gates are asked in order, the
face gate first, so that the reason of an image with a face always says so.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from genir.detectors import faces
from genir.errors import GenirError, ModelError
from genir.metrics.niqe import load_model, niqe, weights_sha256
from genir.metrics.piqe import piqe
from genir.metrics.signal import CHECKS, signal
from genir.records import Columns, Sample, Score, Verdict

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("genir")

# A fixed rule of the image size, so that scores are the same on every launch. Four images of 1024 px at once take up to
# twice as long an image on a CPU as one by one: they do not fit into its caches.
_PIXELS_PER_PASS = 1024 * 1024

Scores = dict[str, Score]
Bounds = Mapping[str, tuple[float | None, float | None]]
"""Check -> (smallest, largest) allowed score; None does not bound."""


@dataclass(frozen=True)
class Gate:
    """One gate; `score` maps uint8 images (N, 3, H, W) to N rows of `columns`, `fails` names the failing check."""

    columns: Columns
    score: Callable[[Tensor], list[Scores]]
    fails: Callable[[Scores], str]
    """The failing check ("face", "signal.entropy"), or the empty string."""
    weights: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the weight files that decide the scores."""


def face_gate(threshold: float, scales: Sequence[float], long_side: int | None, device: torch.device) -> Gate:
    """CenterFace: rejects an image whose best score, over all `scales`, reaches `threshold` (0..1)."""
    detector = faces.FaceDetector(device, scales=tuple(scales), long_side=long_side)

    def score(images_NCHW: Tensor) -> list[Scores]:
        found = detector.detect(images_NCHW)
        return [{"face_score": f.score, "face_count": len(f.scores_K), "face_area": f.area} for f in found]

    def fails(scores: Scores) -> str:
        best = scores["face_score"]
        return "" if best is not None and best < threshold else "face"  # NaN too: what was not assessed is not kept

    columns: Columns = {"face_score": "float", "face_count": "int", "face_area": "float"}
    return Gate(columns, score, fails, {"centerface": faces.weights_sha256()})


def signal_gate(bounds: Bounds) -> Gate:
    """Plain signal checks; `bounds` by check: entropy, laplacian, flat, blockiness, std, ..."""

    def score(images_NCHW: Tensor) -> list[Scores]:
        return _rows({f"signal_{name}": values for name, values in signal(images_NCHW).items()})

    return Gate({f"signal_{name}": "float" for name in CHECKS}, score, _bounded("signal", bounds))


def quality_gate(bounds: Bounds) -> Gate:
    """No-reference quality; `bounds` by metric: piqe, niqe_32, niqe_96 (all: lower is better)."""
    models = {name: load_model(name) for name in bounds if name.startswith("niqe")}

    def score(images_NCHW: Tensor) -> list[Scores]:
        return _rows(
            {
                f"quality_{name}": niqe(images_NCHW, models[name]) if name in models else piqe(images_NCHW)
                for name in bounds
            }
        )

    columns: Columns = {f"quality_{name}": "float" for name in bounds}
    return Gate(columns, score, _bounded("quality", bounds), {name: weights_sha256(name) for name in models})


def judge(samples: list[Sample], gates: Sequence[Gate], score_only: bool, device: torch.device) -> None:
    """Score every sample of a batch with every gate and give it its verdict; failed samples become error rows.

    Args:
        samples: of one size.
        gates: asked in this order; the first failing check is the reason.
        score_only: keep everything that has pixels.
        device: where the images are put for the gates.
    """
    alive = [sample for sample in samples if sample.pixels_CHW is not None]
    per_pass = max(1, _PIXELS_PER_PASS // (samples[0].task.height * samples[0].task.width))
    for first in range(0, len(alive), per_pass):
        part = alive[first : first + per_pass]
        pixels = np.stack([sample.pixels_CHW for sample in part if sample.pixels_CHW is not None])
        images_NCHW = torch.from_numpy(pixels).to(device)
        for gate in gates:
            _score(gate, part, images_NCHW)
    for sample in samples:
        sample.verdict = _verdict(sample, gates, score_only)


def _score(gate: Gate, samples: Sequence[Sample], images_NCHW: Tensor) -> None:
    """Score a batch; where a gate fails, image by image, so that one image cannot stop the run."""
    try:
        for sample, scores in zip(samples, gate.score(images_NCHW), strict=True):
            # a number that could not be computed is not measured: JSON has no NaN, and no threshold a use for it
            sample.scores |= {name: value if _is_finite(value) else None for name, value in scores.items()}
        return
    except (GenirError, torch.AcceleratorError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever an image can provoke becomes its row
        message = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if len(samples) == 1:
        _check_gate(gate, samples[0], images_NCHW, message)
        log.warning("task %s could not be judged: %s", samples[0].task.key, message)
        samples[0].error = message
    else:
        for sample, image_CHW in zip(samples, images_NCHW, strict=True):
            _score(gate, [sample], image_CHW[None])


def _check_gate(gate: Gate, sample: Sample, images_NCHW: Tensor, message: str) -> None:
    """Score a black image of that size: a gate that cannot is no image's fault."""
    try:
        gate.score(torch.zeros_like(images_NCHW))
    except Exception as error:
        raise ModelError(
            f"task {sample.task.key} could not be judged: {message}; nor a black image: the device or the gate is at "
            "fault, not the image: mend it and run the same command again"
        ) from error


def _is_finite(value: Score) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _verdict(sample: Sample, gates: Sequence[Gate], score_only: bool) -> Verdict:
    if sample.error:
        return Verdict("error", f"error:{sample.error.partition(':')[0]}")
    if score_only:
        return Verdict("kept")
    failed = [reason for gate in gates if (reason := gate.fails(sample.scores))]
    if sample.nonfinite and "face" not in failed:
        failed.insert(0, "signal.nonfinite")
    return Verdict("rejected", failed[0]) if failed else Verdict("kept")


def _rows(columns: Mapping[str, Tensor]) -> list[Scores]:
    lists = {name: values_N.tolist() for name, values_N in columns.items()}
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _bounded(gate: str, bounds: Bounds) -> Callable[[Scores], str]:
    def fails(scores: Scores) -> str:
        for name, (low, high) in bounds.items():
            value = scores[f"{gate}_{name}"]
            # a score that could not be computed (NaN) is inside no bounds
            inside = value is not None and (low is None or value >= low) and (high is None or value <= high)
            if not inside and (low is not None or high is not None):
                return f"{gate}.{name}"
        return ""

    return fails
