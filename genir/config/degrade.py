"""The configuration of `genir degrade`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from genir.config.base import Strict
from genir.config.degradation import Codec, Degradation, Scale, Usm
from genir.config.generate import ImageConfig
from genir.config.shared import FilePath


class Chosen(Strict):
    """A degradation; keys beside `preset` replace what the preset says, also by null."""

    preset: FilePath = Field(default="realesrgan", description="bicubic, light, bsrgan, realesrgan, ..., or a file")
    scale: Scale = Field(default=4, description="HQ side over LQ side")
    crop: int | None = Field(default=None, ge=32, le=8192, description="side of the random HQ crop; null: all of it")
    patch: int | None = Field(
        default=None, ge=32, le=8192, description="side that is cut out of crop and LQ afterwards"
    )
    usm: Usm | None = Field(default=None, description="the LQ is made of the sharpened HQ; null: of the HQ itself")
    jpeg: Codec | None = Field(default=None, description="codec of all JPEG blocks; null: the preset's")

    def changed(self, preset: Degradation) -> Degradation:
        """The preset with these keys; raises pydantic's ValidationError where they do not fit."""
        facts = preset.model_dump() | self.model_dump(include={"scale", "crop", "patch", "usm"} & self.model_fields_set)
        degradation = Degradation.model_validate(facts)
        return degradation if self.jpeg is None else degradation.with_codec(self.jpeg)


class Store(Strict):
    """What is stored beside the LQ."""

    hq: bool = Field(default=True, description="the HQ pixels that the LQ belongs to")
    hq_usm: bool = Field(default=False, description="the sharpened HQ too: the originals' ground truth")
    sr_bicubic: bool = Field(
        default=False, description="the LQ enlarged to the HQ's size, as SeeSR and DreamClear read it"
    )


def as_preset(value: Any) -> Any:
    """A name is short for the preset of that name."""
    return {"preset": value} if isinstance(value, str) else value


class Degrade(Strict):
    """All keys of `genir degrade`."""

    run: FilePath = Field(
        default="outputs/pairs", min_length=1, description="run directory; the pairs are in lq/ there"
    )
    seed: int = Field(default=0, ge=0, description="the run's seed")
    input: FilePath | Annotated[dict[str, FilePath], Field(min_length=1)] = Field(
        description="a genir run, RUN#SELECTION, a folder of photographs, a tar, a folder of tars; or prefix -> place"
    )
    keys: FilePath | None = Field(default=None, description="file with the keys to take of a run: .txt or .parquet")
    column: str = Field(default="text", min_length=1, description="of a folder's metadata table: the captions")
    degradation: Annotated[Chosen, BeforeValidator(as_preset, json_schema_input_type=Chosen | str)] = Field(
        default=Chosen(), description="a preset's name, a YAML file, or a mapping {preset, scale, crop, ...}"
    )
    epochs: int = Field(default=1, ge=1, le=1000, description="LQs of each HQ, each with its own crop and degradation")
    store: Store = Store()
    image: ImageConfig = ImageConfig()
    batch: int | None = Field(
        default=None, ge=1, description="pictures between two journal entries; null: as the input"
    )
    threads: int = Field(default=1, ge=1, description="CPU threads a worker; use more workers, not more threads")
    shard_size: int = Field(default=128, ge=1, le=100_000, description="pictures a shard; a run keeps its own shards")
    limit: int | None = Field(
        default=None, ge=1, description="only the first pictures, rounded up to a batch; may grow"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda (of the local rank), cuda:1, mps, ...")

    @field_validator("run")
    @classmethod
    def _local(cls, run: str) -> str:
        if "://" in run:
            raise ValueError("pairs are written to a local folder")
        return run

    def meaning(self) -> dict[str, Any]:
        """What makes two runs the same run, beside the resolved degradation, the input and the cut into batches."""
        return self.model_dump(mode="json", include={"seed", "epochs", "store", "image", "threads"})
