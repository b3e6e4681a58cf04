"""The tables of a run side by side: those of its images, and of every score stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from genir.errors import PlanError
from genir.runs.summary import read_plan
from genir.shards import reader
from genir.shards.files import Row, ShardFiles, read_marker

if TYPE_CHECKING:
    from pathlib import Path

SCORE = "score_"
"""Prefix of the folders of score stages: each is a run directory whose shards lie beside its plan."""


@dataclass(frozen=True)
class Table:
    """The shards of one stage."""

    name: str
    """`image`, `score_quality`, ..."""
    folder: Path
    plan: dict[str, Any]

    @property
    def columns(self) -> dict[str, str]:
        """Name -> type."""
        return self.plan["columns"]

    @cached_property
    def covered(self) -> int:
        """All tasks below this number have a row."""
        covered, size = 0, self.plan["shard_size"]
        for shard in range(self.plan["shards"]):
            marker = read_marker(self.files(shard))
            if marker is None:
                break
            covered = marker.covered
            if covered < min((shard + 1) * size, self.plan["tasks"]):
                break
        return covered

    def files(self, shard: int) -> ShardFiles:
        """The files of a shard."""
        return ShardFiles.of(self.folder, shard, self.plan["shards"])


def tables_of(root: Path) -> list[Table]:
    """The image stage if there is one, then the score stages by name.

    Raises:
        PlanError: no run there, one without scores, or stages that were cut differently.
    """
    stages = sorted(path for path in root.glob(f"{SCORE}*") if (path / "plan.json").exists())
    found = [Table(path.name, path, read_plan(path)) for path in stages]
    if (root / "plan.json").exists() or not found:
        plan = read_plan(root)
        if plan.get("stage", "image") != "image" or "pixels_sha256" not in plan["columns"]:
            raise PlanError(f"{root}: holds no images with scores; give a run of `genir generate` or `genir score`")
        found.insert(0, Table("image", root / "image", plan))
    for table in found[1:]:
        for key in ("tasks", "shard_size"):
            if table.plan[key] != found[0].plan[key]:
                raise PlanError(
                    f"{root}: {table.name} has other {key} ({table.plan[key]}) than {found[0].name} "
                    f"({found[0].plan[key]}); move its folder elsewhere"
                )
    return found


def joined(tables: Sequence[Table]) -> Iterator[list[Row]]:
    """The rows of shard after shard, as far as all tables go; scores of later tables are added to the first's rows."""
    covered, size = min(table.covered for table in tables), tables[0].plan["shard_size"]
    for shard in range(-(-covered // size)):
        end = f"{min(covered, (shard + 1) * size):09d}"
        rows = [row for row in reader.rows(tables[0].files(shard)) if row["key"] < end]
        for table in tables[1:]:
            added = {row["key"]: row for row in reader.rows(table.files(shard))}
            for row in rows:
                for name, value in added[row["key"]].items():
                    if row.get(name) is None:
                        row[name] = value
        yield rows
