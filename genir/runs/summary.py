"""What is in a run directory, counted from its markers; needs neither the model nor the prompts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from genir import storage
from genir.errors import PlanError
from genir.shards.files import Marker, ShardFiles, read_journal
from genir.shards.reader import markers


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
    goal: str = "all tasks"
    """What the latest launch was asked for."""
    wanted: int = 0
    """Tasks that the latest launch's limit asks for."""
    target: int | None = None
    """Kept images that the latest launch asks for."""
    quarantined: list[str] = field(default_factory=list)
    """Shards that nobody takes, because they ended their workers."""
    state: Literal["open", "reached", "exhausted", "quarantined"] = "open"
    """Exhausted: all wanted tasks are done, but fewer are kept than the target asks for. Quarantined: all but the
    quarantined shards are done."""


def summarise(root: Path) -> Summary:
    """Count a run.

    Raises:
        PlanError: no run there.
    """
    plan = read_plan(root)
    summary = Summary(plan["tasks"], plan["shards"])
    stage = root / plan.get("stage", "image")
    finished: dict[int, Marker] = {}
    for shard, marker in markers(stage, summary.shards):
        finished[shard] = marker
        summary.shards_done += 1
        summary.done += marker.tasks
        summary.kept += marker.kept
        summary.reasons.update(marker.reasons)
        summary.image_bytes += sum(int(f["size"]) for name, f in marker.files.items() if name.endswith(".tar"))
    for path in sorted(stage.rglob("*.journal")):
        if path.stem.isdecimal() and int(path.stem) not in finished:
            entries, _ = read_journal(ShardFiles(path.parent, path.stem))
            summary.journalled += len({row["key"] for entry in entries for row in entry.rows})
    summary.quarantined = sorted(path.stem for path in stage.rglob("*.quarantined"))
    _judge_goal(root, plan, summary, finished)
    return summary


def local_root(run: str) -> Path:
    """The run directory as a local folder; raises PlanError for one in an object store."""
    if "://" in run:
        raise PlanError(f"{run}: lies in an object store; copy it to a local folder, all of its bytes are needed")
    return Path(run)


def read_plan(root: Path) -> dict[str, Any]:
    """The content of plan.json; raises PlanError where there is none."""
    path = root / "plan.json"
    with storage.explained(path):
        if not path.exists():
            raise PlanError(f"{root}: no genir run there (no plan.json)")
        content = path.read_bytes()
    try:
        plan = json.loads(content)
    except ValueError:
        plan = None
    numbers = ("tasks", "shards", "shard_size")
    if not isinstance(plan, dict) or not all(isinstance(plan.get(name), int) for name in numbers):
        raise PlanError(f"{root}/plan.json: not the plan of a genir run")
    return plan


def read_goal(root: Path) -> dict[str, int | None]:
    """`limit` and `kept` of the latest launch; null: all. Raises PlanError for a file that says something else."""
    path = root / "goal.json"
    try:
        goal = json.loads(path.read_bytes())
        return {"limit": goal["limit"], "kept": goal["kept"]}
    except FileNotFoundError:
        return {"limit": None, "kept": None}
    except (ValueError, KeyError, TypeError):
        raise PlanError(f"{path}: cannot be read; delete it, the next `genir generate` writes it again") from None


def _judge_goal(root: Path, plan: dict[str, Any], summary: Summary, finished: dict[int, Marker]) -> None:
    goal = read_goal(root)
    limit, kept, size = min(goal["limit"] or plan["tasks"], plan["tasks"]), goal["kept"], plan["shard_size"]
    in_prefix = covered = gaps = 0
    for shard in range(-(-limit // size)):
        marker = finished.get(shard)
        if marker is not None and marker.covered >= min(limit, (shard + 1) * size):
            in_prefix += 0 if gaps else marker.kept
        elif f"{shard:06d}" in summary.quarantined:
            gaps += 1
        else:
            break
        covered = min(limit, (shard + 1) * size)
    summary.wanted, summary.target = limit, kept
    summary.goal = f"the first {limit} tasks" if goal["limit"] else "all tasks"
    if kept:
        summary.goal += f" until {kept} are kept"
    if kept and in_prefix >= kept:
        summary.state = "reached"
    elif covered == limit and gaps:
        summary.state = "quarantined"
    elif covered == limit:
        summary.state = "exhausted" if kept else "reached"


def human_bytes(count: float) -> str:
    """1234567 -> "1.2 MB"."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        units.pop(0)
    return f"{count:.0f} {units[0]}" if units[0] == "B" or count >= 100 else f"{count:.1f} {units[0]}"


def describe(summary: Summary) -> str:
    """One line: done, kept, rejected by reason, bytes."""
    rejected = ", ".join(f"{reason} {count}" for reason, count in summary.reasons.most_common())
    share = f" ({summary.kept / summary.done:.0%})" if summary.done else ""
    unfinished = f", {summary.journalled} more in unfinished shards" if summary.journalled else ""
    wanted = max(summary.wanted, summary.done)  # a limit is rounded up to a batch
    plan = f" (the plan has {summary.tasks})" if wanted < summary.tasks else ""
    quarantined = f"; QUARANTINED shards: {', '.join(summary.quarantined)}" if summary.quarantined else ""
    return (
        f"{summary.done} of {wanted} images{plan} in {summary.shards_done} shards{unfinished}; "
        f"{summary.kept} kept{share}, {human_bytes(summary.image_bytes)}; rejected: {rejected or 'none'}{quarantined}"
    )
