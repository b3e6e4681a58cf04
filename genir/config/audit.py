"""The configuration of `genir verify --privacy` and `--copies`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from genir.config.base import Strict
from genir.config.gates import Gates, GatesAndFile, as_gates
from genir.config.shared import FilePath


class Privacy(Strict):
    """All keys of `genir verify --privacy`."""

    name: str = Field(default="audit", pattern=r"^[A-Za-z0-9_-]+$", description="of the audit: audits/NAME/")
    sample: int = Field(default=300, ge=1, description="kept images, drawn at random")
    seed: int = Field(default=0, ge=0, description="of the draw")
    auditor: str = Field(default="", description="who filled in the answers, by name")
    detector: Annotated[Gates | None, BeforeValidator(as_gates, json_schema_input_type=GatesAndFile | str | None)] = (
        Field(default=None, description="gates that judge in place of a person; of another family than the run's")
    )
    controls: FilePath | None = Field(
        default=None, description="folder of pictures with people, mixed in: they measure what the auditor finds"
    )
    blur: float = Field(default=0.15, gt=0, lt=1, description="from this face score on, a picture is shown coarsely")


class Copies(Strict):
    """All keys of `genir verify --copies`."""

    sample: int = Field(default=1000, ge=1, description="kept images, drawn at random")
    share: float = Field(default=0.01, gt=0, lt=1, description="of real pictures that are called copies by mistake")
    unseen: FilePath | None = Field(
        default=None, description="real pictures of the kind, not trained on; null: each of DIR against the others"
    )
    blur: float = Field(default=0.15, gt=0, lt=1, description="from this face score on, a picture is shown coarsely")
