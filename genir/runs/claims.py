"""Which shard next: the first unfinished one that nobody holds, until none is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genir.errors import ShardError
from genir.shards.files import Marker, read_marker
from genir.shards.writer import ShardWriter, claim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genir.runs.run import Run
    from genir.shards.files import ShardFiles


@dataclass(frozen=True)
class Claimed:
    """A shard that this process holds, and what is left to do of it."""

    shard: int
    writer: ShardWriter
    batches: list[list[Any]]
    covered: int
    """What `ShardWriter.finish` is told when these batches are done."""


class Claims:
    """Iterate over the shards this worker gets; afterwards `left` says what others still hold."""

    def __init__(self, run: Run, limit: int | None, target: int | None, should_stop: Callable[[], bool]) -> None:
        """Nothing is claimed yet.

        Args:
            run: the open run.
            limit: only the first `limit` tasks, rounded up to a batch.
            target: stop when the first finished shards hold this many kept images.
            should_stop: asked before every claim.
        """
        self._run, self._limit, self._target, self._should_stop = run, limit, target, should_stop
        self._shards = run.plan.shards_within(limit)
        self._done: set[int] = set()
        self.quarantined: list[str] = []
        """Names of shards that nobody may take."""
        self._prefix = self._prefix_kept = 0

    @property
    def left(self) -> int:
        """Shards not known to be done."""
        return self._shards - len(self._done)

    def any_left(self) -> bool:
        """Is there a shard that is not finished, and the target not met?"""
        if self.target_reached():
            return False
        return not all(self._is_done(shard) for shard in range(self._shards))

    def refuse_quarantined(self) -> None:
        """Raises ShardError where all that is not finished is quarantined, as far as this worker has looked."""
        unfinished = [shard for shard in range(self._shards) if not self._is_done(shard)]
        if unfinished and all(self._run.shard(shard).name in self.quarantined for shard in unfinished):
            root, stage = self._run.root, self._run.stage.removeprefix(".")
            raise ShardError(
                f"{root}: all is done but shard {', '.join(self.quarantined)}, quarantined: three workers in a row "
                f"ended before they had added a batch; see logs/, then delete {root / stage}/*.quarantined to try again"
            )

    def tasks_left(self) -> int:
        """Tasks of this launch's limit in shards that are not finished."""
        size = self._run.plan.shard_size
        unfinished = (shard for shard in range(self._shards) if not self._is_done(shard))
        return sum(self._upto(shard) - shard * size for shard in unfinished)

    def __iter__(self) -> Iterator[Claimed]:
        """Claim and yield; the consumer closes the writer, which frees the claim."""
        progress = True
        while progress:
            progress = False
            for shard in self._order():
                if shard in self._done:
                    continue
                if self._should_stop() or self.target_reached():
                    return
                claimed = self._claim(shard)
                if claimed is not None:
                    progress = True
                    yield claimed
                    if self._target is not None:
                        break  # again from the first: a dead worker may have left one that the target waits for

    def target_reached(self) -> bool:
        """Do the first finished shards, without a gap, hold `target` kept images?"""
        if self._target is None:
            return False
        if self._run.mirror is not None:
            self._run.mirror.refresh()
        while self._prefix < self._shards and self._prefix_kept < self._target:
            marker = self._finished(self._prefix)
            if marker is None:
                return False
            self._prefix_kept += marker.kept
            self._prefix += 1
        return self._prefix_kept >= self._target

    def _order(self) -> Iterator[int]:
        # spread over the run, so that workers rarely meet; with a target the first shards are what counts
        worker = self._run.worker
        if self._run.mirror is not None:  # no locks: every worker keeps to its own shards
            yield from range(worker.rank, self._shards, worker.world)
            return
        start = 0 if self._target is not None else worker.rank * self._shards // worker.world
        yield from range(start, self._shards)
        yield from range(start)

    def _upto(self, shard: int) -> int:
        """The keys of this shard below this number are asked for."""
        end = self._end(shard)
        return end if self._limit is None else min(end, self._limit)

    def _end(self, shard: int) -> int:
        plan = self._run.plan
        return min((shard + 1) * plan.shard_size, plan.n_tasks)

    def _is_done(self, shard: int) -> bool:
        return shard in self._done or self._finished(shard) is not None

    def _finished(self, shard: int) -> Marker | None:
        """The marker, if the shard holds all that this launch's limit asks for."""
        marker = read_marker(self._run.shard(shard))
        if marker is None or marker.covered < self._upto(shard):
            return None
        self._done.add(shard)
        return marker

    def _push(self, files: ShardFiles) -> None:
        if self._run.mirror is not None:
            self._run.mirror.push_shard(files)

    def _claim(self, shard: int) -> Claimed | None:
        if self._finished(shard) is not None:
            return None
        upto = self._upto(shard)
        if self._run.mirror is not None:
            self._run.mirror.fetch_shard(self._run.shard(shard))
        lock = claim(self._run.shard(shard), upto)
        if lock is None:
            files = self._run.shard(shard)
            if files.quarantined.exists() and files.name not in self.quarantined:
                self.quarantined.append(files.name)
            return None
        writer = ShardWriter(self._run.shard(shard), lock, self._run.digest, self._run.columns, self._push)
        batches = self._run.plan.batches(shard)
        wanted = sum(int(tasks[0].key) < upto for tasks in batches)  # a limit is rounded up to a batch
        wanted = max(wanted, writer.batches)  # a launch with a larger limit may have come further
        whole = wanted == len(batches)
        covered = self._end(shard) if whole else int(batches[wanted][0].key)
        return Claimed(shard, writer, batches[writer.batches : wanted], covered)
