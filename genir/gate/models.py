"""Gates by networks that do not travel with genir: persons, NSFW, text, pyiqa, prompt alignment. All are costly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genir.backbone import networks
from genir.errors import ConfigError
from genir.gate import Gate, Scores

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

    from genir.records import Columns


def person_gate(model: str, label: str, device: torch.device) -> Gate:
    """An object-detection network of transformers, by hub id or folder: best score, boxes, largest area."""
    from genir.detectors.persons import PersonDetector

    folder = networks.locate(model, "gates.person.model")
    detector = PersonDetector(folder, label, device)

    def score(images_NCHW: Tensor, prompts: Sequence[str]) -> list[Scores]:
        found = detector.detect(images_NCHW)
        return [{"person_score": p.score, "person_count": p.count, "person_area": p.area} for p in found]

    columns: Columns = {"person_score": "float", "person_count": "int", "person_area": "float"}
    return Gate(columns, score, _weights("person", folder), costly=True)


def nsfw_gate() -> Gate:
    """Open-NSFW: probability of pornography."""
    from genir.detectors.nsfw import NsfwDetector

    detector = NsfwDetector()

    def score(images_NCHW: Tensor, prompts: Sequence[str]) -> list[Scores]:
        return [{"nsfw_score": value} for value in detector.detect(images_NCHW)]

    return Gate({"nsfw_score": "float"}, score, {"open_nsfw": detector.weights_sha256}, costly=True)


def text_gate() -> Gate:
    """RapidOCR: best score of a piece of text, and what was read."""
    from genir.detectors.text import TextDetector

    detector = TextDetector()

    def score(images_NCHW: Tensor, prompts: Sequence[str]) -> list[Scores]:
        return [{"text_score": found.score, "text_words": found.words} for found in detector.detect(images_NCHW)]

    return Gate({"text_score": "float", "text_words": "string"}, score, detector.weights_sha256, costly=True)


def pyiqa_gate(name: str, has_min: bool, has_max: bool, device: torch.device) -> Gate:
    """A no-reference metric of pyiqa, `pyiqa:NAME`; a bound on its good side is refused as a mistake."""
    from genir.metrics.pyiqa import PyiqaMetric

    metric = PyiqaMetric(name.removeprefix("pyiqa:"), device)
    if has_min if metric.lower_better else has_max:
        word, wanted = ("lower", "max") if metric.lower_better else ("higher", "min")
        raise ConfigError(f"gates.quality.{name}: {word} is better for this metric: set {wanted}, nothing else")

    def score(images_NCHW: Tensor, prompts: Sequence[str]) -> list[Scores]:
        return [{f"quality_{name}": value} for value in metric.score(images_NCHW)]

    return Gate({f"quality_{name}": "float"}, score, {name: metric.version}, costly=True)


def clip_gate(model: str, device: torch.device) -> Gate:
    """CLIP of transformers, by hub id or folder: cosine of picture and prompt; null without a prompt."""
    from genir.metrics.clip import ClipScore

    folder = networks.locate(model, "gates.clip.model")
    clip = ClipScore(folder, device)

    def score(images_NCHW: Tensor, prompts: Sequence[str]) -> list[Scores]:
        return [{"clip_score": value} for value in clip.score(images_NCHW, prompts)]

    return Gate({"clip_score": "float"}, score, _weights("clip", folder), costly=True)


def _weights(gate: str, folder: Path) -> dict[str, str]:
    return {f"{gate}/{name}": sha for name, sha in networks.identity(folder).items()}
