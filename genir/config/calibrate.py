"""The configuration of `genir calibrate`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from genir.config.base import Strict
from genir.config.shared import FilePath


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Places = Annotated[tuple[FilePath, ...], BeforeValidator(_as_list, json_schema_input_type=str | tuple[str, ...])]
"""Runs, RUN#SELECTION, folders of photographs, tars, folders of tars, or score stages (RUN/score_NAME)."""


class Calibrate(Strict):
    """All keys of `genir calibrate`."""

    run: FilePath = Field(default="outputs/calibration", min_length=1, description="gates.yaml and roc.png go there")
    reference: Annotated[Places, Field(min_length=1)] = Field(description="real HQ: runs, folders, tars, score stages")
    negatives: Places = Field(default=(), description="pictures that should be rejected; none: no hit rate")
    reject: float = Field(
        default=0.05, gt=0, lt=1, description="share of the reference that all thresholds together may reject"
    )
    checks: tuple[str, ...] = Field(
        default=("quality.niqe_96.max", "quality.piqe.max", "signal.min_laplacian", "signal.min_entropy"),
        min_length=1,
        description="the thresholds that are set, as they are written below `gates`",
    )
    limit: int | None = Field(default=None, ge=1, description="only so many pictures of each set, evenly spread")
    size: tuple[int, int] | None = Field(
        default=None, description="[rows, columns] to which pictures are reduced first; null: as they are"
    )
    threads: int = Field(default=1, ge=1, description="CPU threads")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps, ...")

    @field_validator("run")
    @classmethod
    def _local(cls, run: str) -> str:
        if "://" in run:
            raise ValueError("the calibration is written to a local folder")
        return run
