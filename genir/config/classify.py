"""The configuration of `genir classify`."""

from __future__ import annotations

from pydantic import Field, field_validator

from genir.config.base import Strict
from genir.config.learn import Data
from genir.config.shared import FilePath


class Classify(Strict):
    """All keys of `genir classify`."""

    data: Data
    out: FilePath = Field(default="outputs/classifier.safetensors", description="the classifier, a new file")
    crop: int = Field(default=128, ge=32, le=1024, description="side of the squares that are learned from, pixels")
    steps: int = Field(default=1000, ge=1, description="optimizer steps")
    batch: int = Field(default=16, ge=1, description="pairs a step")
    held_out: float = Field(default=0.2, gt=0, lt=1, description="share of the photographs that only judge the result")
    seed: int = Field(default=0, ge=0, description="of the draws")
    threads: int = Field(default=1, ge=1, description="CPU threads")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps, ...")

    @field_validator("out")
    @classmethod
    def _ending(cls, out: str) -> str:
        if not out.endswith(".safetensors"):
            raise ValueError("must end in .safetensors")
        return out
