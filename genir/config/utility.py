"""The configuration of `genir utility`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from genir.config.base import Strict
from genir.config.degrade import Chosen, as_preset
from genir.config.evaluate import FULL, MetricName, Name, Place
from genir.config.shared import FilePath

BICUBIC = "bicubic"
"""The row of what nobody trained: the LQ enlarged."""


class RestorerConfig(Strict):
    """The network that is trained."""

    channels: int = Field(default=32, ge=1, description="of every layer")
    blocks: int = Field(default=4, ge=1, description="residual blocks of two convolutions")


class Training(Strict):
    """Equal for all sets."""

    steps: int = Field(default=300, ge=1, description="of Adam, with a cosine to zero")
    batch: int = Field(default=8, ge=1, description="pairs a step")
    rate: float = Field(default=2e-3, gt=0, description="highest learning rate")
    perceptual: float = Field(
        default=0.1, ge=0, description="weight of the scene features' stages beside the L1 of pixels"
    )


class Test(Strict):
    """The photographs that judge."""

    source: Place = Field(description="photographs that no part of the system has seen")
    side: int = Field(default=128, ge=64, description="pixels of a square crop")
    crops: int = Field(default=4, ge=1, description="of each photograph, at random places")

    @field_validator("source", mode="before")
    @classmethod
    def _given(cls, source: Any) -> Any:
        if source is None:
            raise ValueError("required: a folder, run or tars of photographs that no set contains")
        return source


class Utility(Strict):
    """All keys of `genir utility`."""

    run: FilePath = Field(default="outputs/utility", min_length=1, description="results of every training, table, plot")
    sets: dict[Name, Place] = Field(
        min_length=1, description="name -> a run, RUN#SELECTION, folder, tars; a mix: {prefix: place, prefix: place}"
    )
    test: Test = Field(description="photographs that no set contains; test.source is required")
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(64,), description="pictures that a set may use")
    budgets: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(), description="seconds of generation that a set may use: equal cost instead of equal counts"
    )
    costs: dict[Name, Annotated[float, Field(gt=0)]] = Field(
        default={}, description="seconds a picture of a set; what is not given is read from the run's statistics"
    )
    compare: tuple[tuple[Name, Name], ...] = Field(default=(), description="differences shown: first minus second")
    seeds: int = Field(default=5, ge=1, description="trainings of each set and size; may grow")
    seed: int = Field(default=0, ge=0, description="of the test crops")
    degradation: Annotated[Chosen, BeforeValidator(as_preset, json_schema_input_type=Chosen | str)] = Field(
        default=Chosen(preset="light", crop=64), description="of training and test; a mapping {preset, crop, ...}"
    )
    restorer: RestorerConfig = RestorerConfig()
    training: Training = Training()
    metrics: tuple[MetricName, ...] = Field(
        default=("psnr_y", "ssim_y", "st_lpips_alex", "niqe_32", "piqe"), description="of the restored test crops"
    )
    decides: MetricName = Field(default="st_lpips_alex", description="a full-reference metric of `metrics`")
    threads: int = Field(default=1, ge=1, description="CPU threads a process; start more processes, not more threads")
    device: str = Field(default="auto", description="auto, cpu, cuda (of the local rank), cuda:1, mps, ...")

    @model_validator(mode="after")
    def _possible(self) -> Utility:
        if BICUBIC in self.sets:
            raise ValueError(f"sets.{BICUBIC}: choose another name, the untrained row is called so")
        for name in (*self.costs, *(one for pair in self.compare for one in pair)):
            if name not in self.sets:
                raise ValueError(f"{name}: named in costs or compare, but no set; sets are {', '.join(self.sets)}")
        if self.decides not in self.metrics or not (self.decides in FULL or self.decides.startswith("pyiqa:")):
            raise ValueError(f"decides {self.decides}: expected a full-reference metric that is among the metrics")
        if not self.sizes and not self.budgets:
            raise ValueError("sizes and budgets are empty, nothing would be trained")
        return self

    def meaning(self) -> dict[str, Any]:
        """What makes two tables the same, beside pictures and weights; sets, sizes and seeds may grow."""
        include = {"seed", "restorer", "training", "metrics", "decides", "threads"}
        return {**self.model_dump(mode="json", include=include), "side": self.test.side, "crops": self.test.crops}
