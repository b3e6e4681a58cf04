"""The configuration of `genir export`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from genir.config.base import Strict
from genir.config.shared import FilePath

FormatName = Literal[
    "basicsr",
    "realesrgan",
    "lmdb",
    "seesr",
    "dreamclear",
    "paths",
    "jodi",
    "webdataset",
    "imagefolder",
    "parquet",
]


LABELLED = ("jodi", "webdataset", "parquet")
"""Formats that store labels."""


class Tile(Strict):
    """Sub-images, as BasicSR cuts them."""

    size: int = Field(ge=16, le=8192, description="side of the HQ tile in pixels")
    step: int | None = Field(default=None, ge=8, description="from one tile to the next; null: the size, no overlap")


class Split(Strict):
    """Which samples are held out."""

    val: float = Field(gt=0, lt=1, description="share of the prompts (or keys) that go to val/")
    by: Literal["prompt", "key"] = Field(default="prompt", description="prompt: images of one prompt stay together")


class T5(Strict):
    """The text encoder whose features DreamClear trains with."""

    id: FilePath = Field(description="folder or hub id of a T5, such as google/t5-v1_1-xxl")
    revision: str | None = Field(default=None, description="hub revision (a commit hash pins it)")
    length: int = Field(default=120, ge=1, le=512, description="tokens; longer captions are cut")


class Export(Strict):
    """All keys of `genir export`."""

    format: FormatName = Field(description="who reads it")
    input: FilePath = Field(
        description="run directory of genir generate (images) or genir degrade (pairs), or RUN#SELECTION"
    )
    out: FilePath = Field(min_length=1, description="where the files go; the same command resumes")
    keys: FilePath | None = Field(
        default=None, description="file with the keys to take: .txt (one a line) or .parquet, such as a selection"
    )
    gt: Literal["hq", "hq_usm"] = Field(default="hq", description="ground truth of pairs: raw, or sharpened")
    caption: str = Field(default="prompt", min_length=1, description="prompt, or the name of a captioner")
    captioners: tuple[str, ...] | None = Field(
        default=None, description="jodi: in every row, `prompt` or captioners; null: all captioners, else prompt"
    )
    labels: tuple[str, ...] | None = Field(
        default=None,
        description="jodi, webdataset, parquet: domains; null: all, but none that a backend without a model made",
    )
    split: Split | None = Field(default=None, description="hold a part out in val/; null: all in one")
    tile: Tile | None = Field(default=None, description="cut into sub-images; null: whole pictures")
    multiscale: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(), description="images only: add copies reduced by these factors (Lanczos)"
    )
    shards_per_file: int = Field(
        default=32, ge=1, le=100_000, description="webdataset, parquet: shards of the run that become one file"
    )
    t5: T5 | None = Field(default=None, description="dreamclear: features of the captions in npz/; null: none")
    threads: int = Field(default=2, ge=1, le=64, description="that cut and write pictures")

    @field_validator("out")
    @classmethod
    def _local(cls, out: str) -> str:
        if "://" in out:
            raise ValueError("exports are written to a local folder")
        return out

    @model_validator(mode="after")
    def _fits(self) -> Export:
        if self.t5 is not None and self.format != "dreamclear":
            raise ValueError(f"t5: the format {self.format} stores no T5 features; only dreamclear does")
        if self.captioners is not None and (self.format != "jodi" or not self.captioners):
            raise ValueError("captioners: one or more, for the format jodi; other formats have one `caption`")
        if self.labels and self.format not in LABELLED:
            raise ValueError(f"labels: the format {self.format} stores none; {', '.join(LABELLED)} do")
        if self.labels and (self.tile or self.multiscale):
            raise ValueError("labels: belong to whole pictures; leave tile and multiscale out")
        if len(set(self.multiscale)) < len(self.multiscale):
            raise ValueError("multiscale: the same factor stands twice")
        return self

    def meaning(self) -> dict[str, Any]:
        """What makes two exports the same, beside the input."""
        return self.model_dump(mode="json", exclude={"input", "out", "keys", "threads"})
