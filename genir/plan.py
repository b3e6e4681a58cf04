"""The work list: task key -> (prompt, seed, size, shard), a pure function of the configuration.

Tasks are cut into shards of consecutive keys. Those of prompts are numbered replica by replica (the first N tasks
cover N different prompts), and nothing is kept in memory but the prompt index: 100 million tasks cost no more than a
hundred. Those of photographs follow the order of the file names.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from genir import images, seeds
from genir.errors import ImageError, PlanError
from genir.records import Photograph, Prompt, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_TASKS = 10**9  # nine-digit keys
MAX_SHARDS = 10**6  # six-digit shard names


class Prompts(Protocol):
    """Prompts found by position."""

    count: int

    def read(self, start: int, stop: int) -> Iterator[Prompt]:
        """Prompts start .. stop - 1."""
        ...


Item = TypeVar("Item", Task, Photograph)


class Cut(ABC, Generic[Item]):
    """Numbered tasks, cut into shards and batches."""

    batch: int
    shard_size: int

    @property
    @abstractmethod
    def n_tasks(self) -> int:
        """All tasks, whatever `limit` says."""

    @abstractmethod
    def tasks(self, shard: int) -> list[Item]:
        """The tasks of a shard in key order."""

    def _check_names(self) -> None:
        """Raises PlanError when keys or shard names would overflow."""
        if self.n_tasks > MAX_TASKS or self.n_shards > MAX_SHARDS:
            raise PlanError(
                f"{self.n_tasks} tasks in {self.n_shards} shards: at most {MAX_TASKS} tasks and {MAX_SHARDS} shards "
                "a run; lower replicas, raise shard_size or split the prompt files over several runs"
            )

    @property
    def n_shards(self) -> int:
        """All shards; the last one may be smaller."""
        return -(-self.n_tasks // self.shard_size)

    def shards_within(self, limit: int | None) -> int:
        """How many shards hold one of the run's first `limit` tasks."""
        return self.n_shards if limit is None else min(self.n_shards, -(-limit // self.shard_size))

    def batches(self, shard: int) -> list[list[Item]]:
        """The tasks of a shard as they are denoised together, on every launch the same.

        Sorted by (size, key), cut at `batch` and at every change of size, then ordered by their first key, so that
        the batches a `limit` asks for come first.
        """
        by_size: dict[tuple[int, int], list[Item]] = {}
        for task in self.tasks(shard):
            by_size.setdefault((task.height, task.width), []).append(task)
        cut = [
            tasks[first : first + self.batch]
            for tasks in by_size.values()
            for first in range(0, len(tasks), self.batch)
        ]
        return sorted(cut, key=lambda tasks: tasks[0].key)

    def _range(self, shard: int) -> range:
        start = shard * self.shard_size
        return range(start, min(start + self.shard_size, self.n_tasks))


@dataclass(frozen=True)
class Plan(Cut[Task]):
    """Images to make of prompts."""

    prompts: Prompts
    seed: int
    replicas: int
    sizes_HW: tuple[tuple[int, int], ...]
    batch: int
    shard_size: int

    def __post_init__(self) -> None:
        """Raises PlanError when keys or shard names would overflow."""
        self._check_names()

    @property
    def n_tasks(self) -> int:
        """All tasks, whatever `limit` says."""
        return self.prompts.count * self.replicas

    def tasks(self, shard: int) -> list[Task]:
        """The tasks of a shard in key order."""
        keys = self._range(shard)
        prompts = self._read(keys.start, keys.stop)
        return [self._task(index, prompt) for index, prompt in zip(keys, prompts, strict=True)]

    def _read(self, start: int, stop: int) -> Iterator[Prompt]:
        while start < stop:
            first = start % self.prompts.count
            length = min(stop - start, self.prompts.count - first)
            yield from self.prompts.read(first, first + length)
            start += length

    def _task(self, index: int, prompt: Prompt) -> Task:
        key = f"{index:09d}"
        height, width = self.sizes_HW[seeds.choice(self.seed, key, "size", len(self.sizes_HW))]
        return Task(key, prompt, seeds.derive(self.seed, key, "noise"), height, width)


@dataclass(frozen=True)
class PhotographPlan(Cut[Photograph]):
    """Photographs to prepare, each at the one of `sizes_HW` whose aspect is nearest to its own."""

    folder: Path
    names: Sequence[str]
    sizes_HW: tuple[tuple[int, int], ...]
    batch: int
    shard_size: int

    def __post_init__(self) -> None:
        """Raises PlanError when keys or shard names would overflow."""
        self._check_names()

    @property
    def n_tasks(self) -> int:
        """All photographs, whatever `limit` says."""
        return len(self.names)

    def tasks(self, shard: int) -> list[Photograph]:
        """The photographs of a shard in key order; reads their headers."""
        return [Photograph(f"{i:09d}", self.names[i], *self._size(self.names[i])) for i in self._range(shard)]

    def _size(self, name: str) -> tuple[int, int]:
        if len(self.sizes_HW) == 1:
            return self.sizes_HW[0]
        try:
            height, width = images.photograph_size(self.folder / name)
        except ImageError:
            return self.sizes_HW[0]  # becomes a row with its reason when its pixels are read
        return min(self.sizes_HW, key=lambda size: abs(math.log(size[0] / size[1] * width / height)))
