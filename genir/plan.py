"""The work list: task key -> (prompt, seed, size, shard), a pure function of the configuration.

Tasks are numbered replica by replica (the first N tasks cover N different prompts) and cut into shards of consecutive
keys. Nothing is kept in memory but the prompt index: 100 million tasks cost no more than a hundred.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from genir import seeds
from genir.errors import PlanError
from genir.records import Prompt, Task

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_TASKS = 10**9  # nine-digit keys
MAX_SHARDS = 10**6  # six-digit shard names


class Prompts(Protocol):
    """Prompts found by position."""

    count: int

    def read(self, start: int, stop: int) -> Iterator[Prompt]:
        """Prompts start .. stop - 1."""
        ...


@dataclass(frozen=True)
class Plan:
    """The frozen list of tasks, cut into shards and batches."""

    prompts: Prompts
    seed: int
    replicas: int
    sizes_HW: tuple[tuple[int, int], ...]
    batch: int
    shard_size: int

    def __post_init__(self) -> None:
        """Raises PlanError when keys or shard names would overflow."""
        if self.n_tasks > MAX_TASKS or self.n_shards > MAX_SHARDS:
            raise PlanError(
                f"{self.n_tasks} tasks in {self.n_shards} shards: at most {MAX_TASKS} tasks and {MAX_SHARDS} shards "
                "a run; lower replicas, raise shard_size or split the prompt files over several runs"
            )

    @cached_property
    def n_tasks(self) -> int:
        """All tasks, whatever `limit` says."""
        return self.prompts.count * self.replicas

    @cached_property
    def n_shards(self) -> int:
        """All shards; the last one may be smaller."""
        return -(-self.n_tasks // self.shard_size)

    def tasks(self, shard: int) -> list[Task]:
        """The tasks of a shard in key order."""
        start = shard * self.shard_size
        stop = min(start + self.shard_size, self.n_tasks)
        return [
            self._task(index, prompt) for index, prompt in zip(range(start, stop), self._read(start, stop), strict=True)
        ]

    def batches(self, shard: int) -> list[list[Task]]:
        """The tasks of a shard as they are denoised together, on every launch the same.

        Sorted by (size, key), cut at `batch` and at every change of size, then ordered by their first key, so that
        the batches a `limit` asks for come first.
        """
        by_size: dict[tuple[int, int], list[Task]] = {}
        for task in self.tasks(shard):
            by_size.setdefault((task.height, task.width), []).append(task)
        cut = [
            tasks[first : first + self.batch]
            for tasks in by_size.values()
            for first in range(0, len(tasks), self.batch)
        ]
        return sorted(cut, key=lambda tasks: tasks[0].key)

    def shards_within(self, limit: int | None) -> int:
        """How many shards hold one of the run's first `limit` tasks."""
        return self.n_shards if limit is None else min(self.n_shards, -(-limit // self.shard_size))

    def _read(self, start: int, stop: int) -> Iterator[Prompt]:
        while start < stop:
            first = start % self.prompts.count
            length = min(stop - start, self.prompts.count - first)
            yield from self.prompts.read(first, first + length)
            start += length

    def _task(self, index: int, prompt: Prompt) -> Task:
        key = f"{index:09d}"
        choice = seeds.derive(self.seed, key, "size") % len(self.sizes_HW) if len(self.sizes_HW) > 1 else 0
        height, width = self.sizes_HW[choice]
        return Task(key, prompt, seeds.derive(self.seed, key, "noise"), height, width)
