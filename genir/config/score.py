"""The configuration of `genir score`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from genir.config.base import Strict
from genir.config.gates import Gates, GatesOrFile
from genir.config.gates import meaning as gates_meaning
from genir.config.shared import FilePath


class Score(Strict):
    """All keys of `genir score`."""

    source: FilePath | Annotated[dict[str, FilePath], Field(min_length=1)] = Field(
        description="a genir run, RUN#SELECTION, a folder of photographs, a tar, a folder of tars; or prefix -> place"
    )
    run: FilePath | None = Field(
        default=None, min_length=1, description="the scores go to score_NAME/ there; null: into the run that is scored"
    )
    name: str = Field(default="scores", pattern=r"^[A-Za-z0-9_-]+$", description="of the stage: score_NAME/")
    column: str = Field(default="text", min_length=1, description="of a folder's metadata table: the captions")
    gates: GatesOrFile = Field(
        default=Gates(), description="what is measured, and thresholds; or a file of them, or score_only"
    )
    batch: int | None = Field(default=None, ge=1, description="pictures between two journal entries; null: the input's")
    threads: int = Field(default=1, ge=1, description="CPU threads a worker; use more workers, not more threads")
    shard_size: int = Field(default=128, ge=1, le=100_000, description="pictures a shard; a run keeps its own shards")
    limit: int | None = Field(
        default=None, ge=1, description="only the first pictures, rounded up to a batch; may grow"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda (of the local rank), cuda:1, mps, ...")

    @model_validator(mode="after")
    def _local(self) -> Score:
        for place in (self.run, self.source):
            if isinstance(place, str) and "://" in place:
                raise ValueError(f"{place}: scores are made of local files, in a local folder")
        return self

    def meaning(self) -> dict[str, Any]:
        """What makes two stages the same, beside the pictures, the weights of the gates and the cut into batches."""
        found = self.model_dump(mode="json", include={"gates", "threads"})
        return {**found, "gates": gates_meaning(found["gates"])}
