"""Drive a stage over the shards this worker gets, and end in an orderly way."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from genir.errors import PlanError, Stopped
from genir.runs.saver import Packing, Saver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genir.records import Sample, Task
    from genir.runs.claims import Claims

    Stage = Callable[[int, list[list[Task]]], Iterator[list[Sample]]]
    """(shard number, batches of tasks) -> judged batches in the same order."""


@dataclass
class Tally:
    """What this worker did in this launch; seconds exclude start-up."""

    judged: int = 0
    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    """From the first claim on: start-up excluded."""
    cpu_seconds: float = 0.0
    """Processor time of this process in these seconds, all threads."""
    waiting: float = 0.0
    """Of these: the stage stood still because encoding and writing were behind."""

    def add(self, samples: list[Sample]) -> None:
        """Count one judged batch."""
        for sample in samples:
            assert sample.verdict is not None
            self.judged += 1
            self.kept += sample.verdict.verdict == "kept"
            if sample.verdict.reason:
                self.reasons[sample.verdict.reason] += 1


@dataclass(frozen=True)
class Guard:
    """Stop a run that keeps almost nothing: fewer than `min_keep` of a worker's first `after` images."""

    min_keep: float
    after: int

    def check(self, tally: Tally) -> None:
        """Raises PlanError when too few were kept."""
        if tally.judged < self.after or tally.kept >= self.min_keep * tally.judged:
            return
        reasons = ", ".join(f"{reason} {count}" for reason, count in tally.reasons.most_common(4))
        raise PlanError(
            f"only {tally.kept} of {tally.judged} images were kept, less than guard.min_keep {self.min_keep:.0%} "
            f"(rejected by {reasons}); look at preview.png, then change thresholds or prompts in a new run, "
            "or set guard.min_keep=0 to go on"
        )


def drive(
    claims: Claims,
    stage: Stage,
    packing: Packing,
    guard: Guard,
    should_stop: Callable[[], bool],
    progress: Callable[[Tally], None],
) -> Tally:
    """Run `stage` over every shard that can be claimed, until there is none, the target is met or a stop is asked.

    All that was judged is on the disk when this returns or raises.

    Args:
        claims: the shards.
        stage: (shard number, batches of tasks) -> judged batches, in the same order; may raise Stopped.
        packing: how samples become files.
        guard: when to give the run up.
        should_stop: asked between batches.
        progress: told after every batch.

    Raises:
        PlanError: the guard found that almost nothing is kept.
        ShardError: the disk cannot be written.
    """
    tally = Tally()
    begin, cpu_begin = time.monotonic(), time.process_time()
    for claimed in claims:
        with claimed.writer:
            left = len(claimed.batches)
            with Saver(claimed.writer, packing) as saver, contextlib.suppress(Stopped):
                for samples in stage(claimed.shard, claimed.batches):
                    before = time.monotonic()
                    saver.add(samples)
                    tally.add(samples)
                    tally.waiting += time.monotonic() - before
                    tally.seconds = time.monotonic() - begin
                    tally.cpu_seconds = time.process_time() - cpu_begin
                    left -= 1
                    progress(tally)
                    guard.check(tally)
                    if should_stop() or claims.target_reached():
                        break
            if left == 0:
                before = time.monotonic()
                claimed.writer.finish(claimed.covered)
                tally.waiting += time.monotonic() - before
                tally.seconds = time.monotonic() - begin
    return tally
