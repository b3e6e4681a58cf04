"""The gates that travel with genir: faces, signal, faults of diffusion, quality, perceptual hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genir.detectors import faces
from genir.gate import Gate, Scores
from genir.metrics import classifier
from genir.metrics.faults import CHECKS as FAULTS
from genir.metrics.faults import faults
from genir.metrics.mscn import Contrast
from genir.metrics.niqe import load_model, niqe, weights_sha256
from genir.metrics.phash import phash
from genir.metrics.piqe import piqe
from genir.metrics.reduce import to_short_side
from genir.metrics.signal import CHECKS, signal
from genir.storage import sha256

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genir.records import Columns


def face_gate(scales: Sequence[float], long_side: int | None, device: torch.device) -> Gate:
    """CenterFace: best score over all `scales`, boxes, largest area."""
    detector = faces.FaceDetector(device, scales=tuple(scales), long_side=long_side)

    def score(images_NCHW: Tensor, prompts: Sequence[str]) -> list[Scores]:
        found = detector.detect(images_NCHW)
        return [{"face_score": f.score, "face_count": len(f.scores_K), "face_area": f.area} for f in found]

    columns: Columns = {"face_score": "float", "face_count": "int", "face_area": "float"}
    return Gate(columns, score, {"centerface": faces.weights_sha256()})


def signal_gate(short_side: int | None) -> Gate:
    """Plain signal checks: entropy, laplacian, flat, blockiness, mean, std, clipped; of the picture as it is or reduced
    to `short_side` pixels.
    """

    def score(images_NCHW: Tensor, prompts: Sequence[str]) -> list[Scores]:
        looked_at = images_NCHW if short_side is None else to_short_side(images_NCHW, short_side)
        return _rows({f"signal_{name}": values for name, values in signal(looked_at).items()})

    return Gate({f"signal_{name}": "float" for name in CHECKS}, score)


def fault_gate() -> Gate:
    """Faults of diffusion: saturated, grid, repeat (all: lower is better)."""

    def score(images_NCHW: Tensor, prompts: Sequence[str]) -> list[Scores]:
        return _rows({f"fault_{name}": values for name, values in faults(images_NCHW).items()})

    return Gate({f"fault_{name}": "float" for name in FAULTS}, score)


def quality_gate(metrics: Sequence[str]) -> Gate:
    """No-reference quality: piqe, niqe_32, niqe_96 (all: lower is better)."""
    models = {name: load_model(name) for name in metrics if name.startswith("niqe")}

    def score(images_NCHW: Tensor, prompts: Sequence[str]) -> list[Scores]:
        contrast = Contrast(images_NCHW)
        return _rows(
            {f"quality_{name}": niqe(contrast, models[name]) if name in models else piqe(contrast) for name in metrics}
        )

    columns: Columns = {f"quality_{name}": "float" for name in metrics}
    return Gate(columns, score, {name: weights_sha256(name) for name in models})


def classifier_gate(file: str, device: torch.device) -> Gate:
    """A classifier of `genir classify`: probability of a positive."""
    path = Path(file)
    network = classifier.load(path, device)

    def score(images_NCHW: Tensor, prompts: Sequence[str]) -> list[Scores]:
        return _rows({"classifier_score": classifier.probability(images_NCHW.to(device), network)})

    return Gate({"classifier_score": "float"}, score, {"classifier": sha256(path)})


def hash_gate() -> Gate:
    """Perceptual hash: rejects nothing by itself, near-duplicates are found among all images of a run."""

    def score(images_NCHW: Tensor, prompts: Sequence[str]) -> list[Scores]:
        return _rows({"phash": phash(images_NCHW)})

    return Gate({"phash": "int"}, score)


def _rows(columns: Mapping[str, Tensor]) -> list[Scores]:
    lists = {name: values_N.tolist() for name, values_N in columns.items()}
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
