"""What is in a run directory, counted from its markers; needs neither the model nor the prompts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from genir.errors import PlanError
from genir.shards.files import ShardFiles, read_journal
from genir.shards.reader import markers

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Summary:
    """Counts over the finished shards, plus the batches that are safe in unfinished ones."""

    tasks: int
    shards: int
    shards_done: int = 0
    done: int = 0
    """Tasks with a row in a finished shard."""
    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    journalled: int = 0
    """Tasks that are safe in unfinished shards."""
    image_bytes: int = 0

    @property
    def is_complete(self) -> bool:
        """Is every task of the plan in a finished shard?"""
        return self.done == self.tasks


def summarise(root: Path) -> Summary:
    """Count a run.

    Raises:
        PlanError: no run there.
    """
    try:
        plan = json.loads((root / "plan.json").read_bytes())
    except FileNotFoundError:
        raise PlanError(f"{root}: no genir run there (no plan.json)") from None
    summary = Summary(plan["tasks"], plan["shards"])
    stage = root / "image"
    finished: set[int] = set()
    for shard, marker in markers(stage, summary.shards):
        finished.add(shard)
        summary.shards_done += 1
        summary.done += marker.tasks
        summary.kept += marker.kept
        summary.reasons.update(marker.reasons)
        summary.image_bytes += sum(int(f["size"]) for name, f in marker.files.items() if name.endswith(".tar"))
    for path in sorted(stage.rglob("*.journal")):
        if int(path.stem) not in finished:
            entries, _ = read_journal(ShardFiles(path.parent, path.stem))
            summary.journalled += sum(len(entry.rows) for entry in entries)
    return summary
