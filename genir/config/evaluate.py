"""The configuration of `genir evaluate`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from genir.config.base import Strict
from genir.config.shared import FilePath

FULL = ("psnr", "psnr_y", "ssim", "ssim_y", "st_lpips_alex", "st_lpips_vgg", "lpips_alex", "lpips_vgg", "dists")
"""Metrics of genir and of permissive packages that need a reference."""
BLIND = ("niqe_32", "niqe_96", "piqe")
PYIQA = "pyiqa:"
Features = Literal["scene", "inception"]
REFERENCE = "reference"
"""The reference as a set beside the others."""

Place = FilePath | Annotated[dict[str, FilePath], Field(min_length=1)]
"""A run, RUN#SELECTION, a pairs run, a folder, a tar, a folder of tars; or several: prefix -> place."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


def known_metric(name: str) -> str:
    """The name itself; a ValueError says which there are."""
    if name in FULL or name in BLIND or (name.startswith(PYIQA) and name != PYIQA):
        return name
    hint = " (pictures as features: see `features`)" if name in get_args(Features) else ""
    raise ValueError(f"{name}: no such metric{hint}; there are {', '.join((*FULL, *BLIND))}, and {PYIQA}NAME")


MetricName = Annotated[str, AfterValidator(known_metric)]


class Evaluate(Strict):
    """All keys of `genir evaluate`."""

    sets: dict[Name, Place] = Field(
        min_length=1,
        description="name -> a run, RUN#SELECTION, pairs run, folder, tar or tars; side by side in the table",
    )
    reference: Place | None = Field(
        default=None, description="what sets are compared with, and where full-reference metrics find each image's own"
    )
    run: FilePath = Field(default="outputs/evaluation", min_length=1, description="tables and summary go there")
    metrics: tuple[MetricName, ...] = Field(default=("niqe_96", "piqe"), description="numbers of single images")
    features: tuple[Features, ...] = Field(
        default=("scene",), description="for distances between sets: scene (ours), inception (FID, KID)"
    )
    crop_border: int = Field(default=0, ge=0, description="pixels left out at each side by PSNR and SSIM")
    column: str = Field(default="text", min_length=1, description="of a folder's metadata table: the captions")
    batch: int | None = Field(default=None, ge=1, description="pictures between two journal entries; null: the input's")
    threads: int = Field(default=1, ge=1, description="CPU threads a worker; use more workers, not more threads")
    shard_size: int = Field(default=128, ge=1, le=100_000, description="pictures a shard; a run keeps its own shards")
    limit: int | None = Field(default=None, ge=1, description="only the first pictures of every set; may grow")
    device: str = Field(default="auto", description="auto, cpu, cuda (of the local rank), cuda:1, mps, ...")

    @field_validator("metrics", "features")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("every name once")
        return names

    @model_validator(mode="after")
    def _possible(self) -> Evaluate:
        if REFERENCE in self.sets:
            raise ValueError(f"sets.{REFERENCE}: choose another name, the reference itself is called so")
        if not self.metrics and not self.features:
            raise ValueError("metrics and features are empty, nothing would be measured")
        for place in (
            self.run,
            *_places(self.reference),
            *(one for each in self.sets.values() for one in _places(each)),
        ):
            if "://" in place:
                raise ValueError(f"{place}: pictures and results are local files")
        return self

    def meaning(self) -> dict[str, Any]:
        """What makes two evaluations of a set the same, beside the pictures, the weights and the cut into batches."""
        return self.model_dump(mode="json", include={"metrics", "features", "crop_border", "threads"})


def _places(place: str | dict[str, str] | None) -> list[str]:
    return [] if place is None else [place] if isinstance(place, str) else list(place.values())
