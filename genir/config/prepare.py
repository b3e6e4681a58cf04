"""The configuration of `genir prepare`."""

from __future__ import annotations

from string import Formatter
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from genir.config.base import Strict
from genir.config.gates import FaceGate
from genir.config.generate import GuidanceConfig, Sizes
from genir.config.shared import ChatConfig, FilePath, Model, ModelOrId

INSTRUCTION = (
    "Describe what this photograph shows as a comma-separated list of tags: place, subject, materials, colours, light. "
    'Do not mention its quality. Answer with JSON only: {"caption": "..."}'
)


class CaptionChat(ChatConfig):
    """Who describes photographs without a text."""

    instruction: str = Field(default=INSTRUCTION, min_length=1, description="what the model is told")


class Captions(Strict):
    """Texts of the photographs: a .txt beside each, a table, else a model."""

    column: str = Field(default="text", min_length=1, description="of metadata.jsonl, .csv or .parquet")
    chat: CaptionChat | None = Field(
        default=None, description="asked where there is no text; null: such photographs are rejected"
    )


class Sdedit(Strict):
    """Negatives made by the model itself."""

    strength: float = Field(default=0.6, gt=0, le=1, description="share of the steps that run")
    steps: int = Field(default=30, ge=1, le=1000, description="denoising steps of the whole schedule")
    guidance: GuidanceConfig = GuidanceConfig()
    negatives_per_image: int = Field(default=1, ge=1, le=100, description="each with its own words and noise")
    words: Literal["one", "joined", "sampled"] = Field(
        default="sampled", description="words of a prompt: one drawn, all, or three drawn"
    )
    degradation: FilePath = Field(
        default="prompts/degradation_words.txt", description="words of the negatives, one a line"
    )
    quality: FilePath = Field(default="prompts/quality_words.txt", description="words of the positives, one a line")
    template: str = Field(default="{words}, {caption}", description='prompt of both; "{words}" alone is the paper\'s')

    @field_validator("template")
    @classmethod
    def _fields(cls, template: str) -> str:
        try:
            names = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
        except ValueError:
            names = set()
        if "words" not in names or names - {"words", "caption"}:
            raise ValueError('expected {words}, and {caption} if you like, such as "{words}, {caption}"')
        return template

    @model_validator(mode="after")
    def _runs(self) -> Sdedit:
        if int(self.strength * self.steps) < 1:
            raise ValueError(f"strength {self.strength} of {self.steps} steps is no step; raise one of them")
        return self


class Worse(Strict):
    """When a negative counts as worse than the positive of its origin; others are dropped and counted."""

    psnr: float = Field(
        default=34.0, gt=0, description="dB; a degraded picture must be below this against its positive"
    )
    metric: Literal["auto", "niqe_32", "niqe_96", "piqe"] = Field(
        default="auto", description="for SDEdit; auto: niqe_96, below a short side of 384 pixels niqe_32"
    )
    margin: float = Field(default=0.3, description="by so much an edit's score must be higher than its positive's")


class Prepare(Strict):
    """All keys of `genir prepare`."""

    run: FilePath = Field(
        default="outputs/prepared", min_length=1, description="run directory; the set is in train/ there"
    )
    seed: int = Field(default=0, ge=0, description="the run's seed")
    images: FilePath = Field(
        description="folder of photographs, searched through; `embedded`: the captioned pictures that travel with genir"
    )
    model: ModelOrId = Field(default=Model(), description="text-to-image model that is going to learn")
    size: Sizes = Field(
        default=None, description="[rows, columns], or several: the nearest aspect is taken; null: what the model knows"
    )
    captions: Captions = Captions()
    face: FaceGate = Field(default=FaceGate(), description="photographs with a face are rejected")
    degraded_per_image: int = Field(
        default=1, ge=0, le=100, description="negatives by blur, noise, JPEG, down and up; 0: none"
    )
    sdedit: Sdedit | None = Field(default=Sdedit(), description="negatives by the model; null: none")
    worse: Worse = Worse()
    batch: int = Field(default=4, ge=1, description="photographs worked on together")
    threads: int = Field(default=1, ge=1, description="CPU threads a worker; use more workers, not more threads")
    shard_size: int = Field(default=32, ge=1, le=100_000, description="photographs a shard")
    limit: int | None = Field(
        default=None, ge=1, description="only the first photographs, rounded up to a batch; may grow"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda (of the local rank), cuda:1, mps, ...")

    @field_validator("run")
    @classmethod
    def _local(cls, run: str) -> str:
        if "://" in run:
            raise ValueError("a training set is made in a local folder; copy it to the object store afterwards")
        return run

    @model_validator(mode="after")
    def _makes_negatives(self) -> Prepare:
        if not self.degraded_per_image and self.sdedit is None:
            raise ValueError("degraded_per_image is 0 and sdedit is null: no negative would be made")
        return self

    def meaning(self) -> dict[str, Any]:
        """What makes two runs the same run; all else may change between launches of one run."""
        chat = {"url", "key", "timeout", "tries", "parallel"}
        growth: Any = {"run": True, "images": True, "limit": True, "device": True, "captions": {"chat": chat}}
        if self.captions.chat is None:
            del growth["captions"]
        return self.model_dump(mode="json", exclude=growth)
