"""`genir verify`: planned = kept + rejected + errors, nothing twice, nothing missing, every hash right, every image
decodes to the pixels that were judged. Needs neither the model nor the prompts.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir.errors import PlanError
from genir.ranks import EXIT_AGAIN
from genir.runs.meter import Meter
from genir.runs.summary import local_root, read_goal, read_plan
from genir.shards.files import ShardFiles
from genir.shards.verify import Proof, prove

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHOWN = 20  # problems


@dataclass
class Verification:
    """What was found in a run."""

    root: Path
    planned: int = 0
    """Tasks that the latest launch asks for (with a target: of the first shards that reach it)."""
    more: int = 0
    """Rows beyond these: batches are whole, an earlier launch had asked for more."""
    missing: int = 0
    """Planned tasks without a row: not made yet."""
    unproven: int = 0
    """Planned tasks of bad shards."""
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    shards: int = 0
    bad: dict[int, list[str]] = field(default_factory=dict)
    """Shard -> its problems."""
    strays: list[str] = field(default_factory=list)
    """Tars and tables that no finished or begun shard has."""

    @property
    def code(self) -> int:
        """Exit code: 0 proven and complete, 75 proven but not all is made yet, 2 something is bad."""
        if self.bad or not self.adds_up:
            return 2
        return EXIT_AGAIN if self.missing else 0

    @property
    def adds_up(self) -> bool:
        """Planned tasks and what became of them."""
        return self.planned + self.more == self.verdicts.total() + self.missing + self.unproven

    def lines(self) -> list[str]:
        """For a person."""
        problems = [f"  {problem}" for found in self.bad.values() for problem in found]
        if len(problems) > SHOWN:
            problems[SHOWN:] = [f"  and {len(problems) - SHOWN} more"]
        lines = [
            *([f"{len(self.bad)} of {self.shards} finished shards are bad:", *problems] if self.bad else []),
            f"planned    {self.planned}" + (f", and {self.more} more were made" if self.more else ""),
            f"kept       {self.verdicts['kept']}",
            f"rejected   {self.verdicts['rejected']}{self._why(False)}",
            f"errors     {self.verdicts['error']}{self._why(True)}",
            f"missing    {self.missing}",
            f"unproven   {self.unproven}",
        ]
        if self.strays:
            names = ", ".join(self.strays[:SHOWN]) + (", ..." if len(self.strays) > SHOWN else "")
            names += ": of no finished shard, but whoever reads all tars or tables reads them too"
            lines.append(f"strays     {len(self.strays)}   ({names})")
        return [*lines, f"{self.root}: {self._conclusion()}"]

    def _why(self, are_errors: bool) -> str:
        found = {reason: count for reason, count in self.reasons.items() if reason.startswith("error:") == are_errors}
        words = ", ".join(f"{reason} {count}" for reason, count in Counter(found).most_common())
        return f"   ({words})" if words else ""

    def _conclusion(self) -> str:
        if self.bad:
            return f"NOT proven; `genir verify {self.root} --repair` makes again what is bad"
        if not self.adds_up:
            return "NOT proven: the counts do not add up"
        proven = f"proven: {self.shards} shards, every hash, row and image"
        return proven + (f"; {self.missing} planned tasks are not made yet" if self.missing else "")


def verify(run: str) -> Verification:
    """Look at every byte of a run, with as many processes as this one may use processors.

    Raises:
        PlanError: no run of `genir generate` there.
    """
    root = local_root(run)
    plan, goal = read_plan(root), read_goal(root)
    if not {"pixels_sha256", "seed"} <= plan["columns"].keys():
        raise PlanError(f"{root}: not a run of `genir generate`; other runs cannot be verified yet")
    limit = min(goal["limit"] or plan["tasks"], plan["tasks"])
    found = Verification(root)
    for shard, proof in _watched(_proofs(root, plan, limit), plan["shards"]):
        asked = max(0, min(limit, (shard + 1) * plan["shard_size"]) - shard * plan["shard_size"])
        if goal["kept"] and found.verdicts["kept"] >= goal["kept"] and not found.missing + found.unproven:
            asked = 0  # the target is reached by the shards before
        _add(found, shard, asked, proof)
    found.strays = sorted(path.name for suffix in ("tar", "parquet") for path in _strays(root / "image", suffix))
    return found


def _strays(stage: Path, suffix: str) -> Iterator[Path]:
    for path in stage.rglob(f"*.{suffix}"):
        # in this order: a worker that finishes the shard meanwhile drops the journal after the marker is there
        if not path.with_suffix(".journal").exists() and not path.with_suffix(".done").exists():
            yield path


def _add(found: Verification, shard: int, asked: int, proof: Proof | None) -> None:
    found.planned += asked
    if proof is None:
        found.missing += asked
    elif proof.problems:
        found.shards += 1
        found.bad[shard] = proof.problems
        found.unproven += asked
    else:
        found.shards += 1
        made = min(asked, proof.asked)
        found.missing += asked - made
        found.more += proof.verdicts.total() - made
        found.verdicts += proof.verdicts
        found.reasons += proof.reasons


def _proofs(root: Path, plan: dict[str, Any], limit: int) -> Iterator[Proof | None]:
    """Of all shards, in order."""
    shards = range(plan["shards"])
    check = partial(_proof, root, plan, limit)
    processes = min(len(os.sched_getaffinity(0)), plan["shards"])
    # spawned: a forked child could keep a lock that another thread holds
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(check, shards, chunksize=max(1, min(16, plan["shards"] // (4 * processes))))


def _proof(root: Path, plan: dict[str, Any], limit: int, shard: int) -> Proof | None:
    first, size = shard * plan["shard_size"], plan["shard_size"]
    keys = range(first, min(first + size, plan["tasks"]))
    return prove(ShardFiles.of(root / "image", shard, plan["shards"]), keys, limit, plan)


def _watched(proofs: Iterable[Proof | None], total: int) -> Iterator[tuple[int, Proof | None]]:
    """Number them, with a bar on a terminal and plain lines elsewhere."""
    with Meter(total, "shard") as meter:
        for shard, proof in enumerate(proofs):
            meter(shard + 1)
            yield shard, proof
