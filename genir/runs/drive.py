"""Drive a stage over the shards this worker gets, and end in an orderly way."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genir.errors import GenirError, PlanError, Stopped
from genir.runs.saver import Saver
from genir.runs.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genir.runs.claims import Claims
    from genir.runs.saver import Files


@dataclass(frozen=True)
class Stage:
    """What is done with the tasks of a shard: one part keeps the device busy, the other goes on beside it."""

    make: Callable[[list[list[Any]]], Iterator[list[Any]]]
    """Batches of tasks -> their samples, in the same order; on the main thread; may raise Stopped."""
    judge: Callable[[list[Any]], None]
    """Gives the samples of a batch their scores and verdicts; on the saver's thread."""


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
    pack: Callable[[str, Any], Files],
    guard: Guard,
    should_stop: Callable[[], bool],
    progress: Callable[[Tally], None],
) -> Tally:
    """Run `stage` over every shard that can be claimed, until there is none, the target is met or a stop is asked.

    While a batch is made, the one before is judged, encoded and written, and a finished shard is published while the
    next one has begun. All that was made is on the disk when this returns or raises.

    Args:
        claims: the shards.
        stage: what is done with their tasks.
        pack: how what was judged becomes files, as `Saver` has it.
        guard: when to give the run up.
        should_stop: asked between batches.
        progress: told after every batch, and at the end.

    Raises:
        PlanError: the guard found that almost nothing is kept.
        ShardError: the disk cannot be written.
    """
    tally = Tally()
    with Saver(stage.judge, pack, tally) as saver:
        for claimed in claims:
            left = len(claimed.batches)
            try:
                with contextlib.suppress(Stopped):
                    for samples in tally.timed_making(stage.make(claimed.batches)):
                        with tally.timed_waiting():
                            saver.add(claimed.writer, samples)
                        left -= 1
                        progress(tally)
                        guard.check(tally)
                        if should_stop() or claims.target_reached():
                            break
            except Exception as error:
                if not isinstance(error, GenirError):  # those are faults of the run, the disk or the device
                    claimed.writer.blame()
                raise
            finally:
                with tally.timed_waiting():
                    saver.end(claimed.writer, claimed.covered if left == 0 else None)
        with tally.timed_tail():
            saver.drain()
    progress(tally)
    guard.check(tally)
    return tally
