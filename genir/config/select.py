"""The configuration of `genir select`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from genir.config.base import Strict
from genir.config.gates import GatesOrFile


class Select(Strict):
    """All keys of `genir select`; `gates` begins as the run's own."""

    name: str = Field(
        default="default", pattern=r"^[A-Za-z0-9_-]+$", description="of the selection: selections/NAME.parquet"
    )
    gates: GatesOrFile = Field(description="thresholds, or a file of them")
    duplicates: Literal["exact", "near"] | None = Field(
        default="exact", description="exact: equal pixels or noise; near: similar pictures too; null: they stay"
    )

    def meaning(self) -> dict[str, Any]:
        """What makes two selections of one run the same."""
        return self.model_dump(mode="json", exclude={"name"})
