"""What the tables of a run say, from all markers and the tables of evenly spread shards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genir.config.gates import Gates
from genir.shards import reader
from genir.shards.files import Row, ShardFiles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_ROWS = 200_000
BINS = 40
_ORDER_POINTS = 120


@dataclass(frozen=True)
class Rows:
    """Rows of finished shards; of a large run, those of evenly spread ones."""

    rows: list[Row]
    shards: list[int]
    finished: int
    """Finished shards of the run."""

    @property
    def note(self) -> str:
        """What the rows are of; empty when they are all."""
        if len(self.shards) == self.finished:
            return ""
        return f"of {len(self.rows):,} tasks, in {len(self.shards)} evenly spread shards of {self.finished}"


def read(stage: Path, plan: dict[str, Any]) -> Rows:
    """The rows of up to MAX_ROWS tasks."""
    finished = [shard for shard, _ in reader.markers(stage, plan["shards"])]
    count = max(1, min(len(finished), MAX_ROWS // plan["shard_size"]))
    chosen = [finished[n * len(finished) // count] for n in range(count)] if finished else []
    rows = [row for shard in chosen for row in reader.rows(ShardFiles.of(stage, shard, plan["shards"]))]
    return Rows(rows, chosen, len(finished))


def keep_rate_in_order(stage: Path, plan: dict[str, Any]) -> tuple[list[float], list[float]]:
    """(first task, share of kept images in per cent) of up to 120 stretches of neighbouring shards."""
    found = list(reader.markers(stage, plan["shards"]))
    stretch = -(-len(found) // _ORDER_POINTS) or 1
    places, rates = [], []
    for first in range(0, len(found), stretch):
        part = found[first : first + stretch]
        tasks = sum(marker.tasks for _, marker in part)
        if tasks:
            places.append(float(part[0][0] * plan["shard_size"]))
            rates.append(100 * sum(marker.kept for _, marker in part) / tasks)
    return places, rates


def limits(plan: dict[str, Any]) -> dict[str, tuple[float | None, float | None]]:
    """Column -> (smallest, largest) allowed score."""
    asked = {name: value for name, value in plan["meaning"].get("gates", {}).items() if name != "weights"}
    checks = Gates.model_validate(asked).checks() if asked else []
    return {check.column: (check.low, check.high) for check in checks}


@dataclass(frozen=True)
class Histogram:
    """Counts of one score."""

    edges: list[float]
    kept: list[int]
    others: list[int]
    missing: int
    """Rows without this score."""
    outside: int
    """Scores beyond the edges; they are counted in the first and last bar."""


def score_histogram(rows: Sequence[Row], column: str, bounds: tuple[float | None, float | None]) -> Histogram | None:
    """From the 0.5th to the 99.5th percentile, or to a bound near by; None for fewer than two different scores."""
    values = np.array([np.nan if row[column] is None else row[column] for row in rows], np.float64)
    is_kept = np.array([row["verdict"] == "kept" for row in rows], bool)
    there = np.isfinite(values)
    if not there.any() or np.ptp(values[there]) == 0:
        return None
    low, high = np.percentile(values[there], [0.5, 99.5])
    spread = (high - low) or np.ptp(values[there])
    for bound in bounds:
        if bound is not None and low - spread <= bound <= high + spread:
            low, high = min(low, bound), max(high, bound)
    edges = np.linspace(low, high if high > low else low + spread, BINS + 1)
    clipped = np.clip(values, edges[0], edges[-1])
    kept, others = (np.histogram(clipped[there & who], edges)[0].tolist() for who in (is_kept, ~is_kept))
    outside = int((there & (clipped != values)).sum())
    return Histogram(edges.tolist(), kept, others, int((~there).sum()), outside)
