"""A path -> the source that it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from genir.config.base import read
from genir.errors import ConfigError, PlanError
from genir.plan import Cut
from genir.shards import selection, table
from genir.shards.selection import Selection
from genir.sources.folder import FolderSource
from genir.sources.original import Original
from genir.sources.run import RunSource
from genir.sources.tars import TarSource

_STEP = 1024  # pictures asked for at a time


class Source(Protocol):
    """Numbered HQ pictures."""

    n_tasks: int
    """All numbers, taken or not."""
    available: int
    """Pictures below this number are there; fewer than `n_tasks` while a run is being made."""
    shard_size: int | None
    """Of the shards it is cut into already; None: none."""
    batch: int | None
    """How many of its pictures were made together; None: none were."""

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two sources the same."""
        ...

    def originals(self, start: int, stop: int) -> list[Original]:
        """Pictures `start` to `stop` - 1, as far as they are there."""
        ...


def open_source(place: str | Mapping[str, str], selected: str | None = None, column: str = "text") -> Source:
    """The pictures at a place.

    Args:
        place: a run directory, `RUN#SELECTION`, a folder of photographs, a tar, a folder of tars, or several of them:
            prefix -> place.
        selected: file with the keys to take of a run: .txt (one a line) or .parquet (`key`, and `verdict` if it is
            there must be "kept").
        column: of a folder's metadata table, that holds the captions.

    Raises:
        GenirError: nothing of that kind there.
    """
    if isinstance(place, Mapping):
        if selected:
            raise ConfigError("keys: belong to one run; give one input, or make a run of each first")
        return Joined({prefix: open_source(path, None, column) for prefix, path in place.items()})
    path = Path(place).expanduser()
    if "#" in place and not path.exists():
        if selected:
            raise ConfigError(f"keys {selected}: {place} names a selection already; leave one of them out")
        run, _, name = place.rpartition("#")
        return _selected(Path(run).expanduser(), name)
    if (path / "plan.json").exists():
        return RunSource(path, None if selected is None else selected_keys(Path(selected).expanduser()))
    if selected:
        raise ConfigError(f"keys {selected}: belong to a genir run, and {place} is none")
    if path.is_file() and path.suffix == ".tar":
        return TarSource([path])
    if path.is_dir() and (tars := list(path.glob("*.tar"))):
        return TarSource(tars)
    if not path.is_dir():
        raise ConfigError(f"input {place}: no such run, folder or tar")
    return FolderSource(path, column)


def _selected(root: Path, name: str) -> Source:
    if not root.is_dir():
        raise ConfigError(f"input {root}#{name}: no such run")
    return open_chosen(root, selection.read(root, name))


def open_chosen(root: Path, chosen: Selection) -> Source:
    """The pictures of a run, or of what was scored there, under the verdicts of a selection; raises PlanError."""
    return RunSource(root, selection=chosen) if (root / "plan.json").exists() else Chosen(root, chosen)


class Chosen:
    """The pictures of a folder or of tars that a selection over their scores takes."""

    def __init__(self, root: Path, chosen: Selection) -> None:
        """Open what was scored; raises PlanError where that has changed since."""
        stages = sorted(path.parent for path in root.glob("score_*/plan.json"))
        plans = {stage: json.loads((stage / "plan.json").read_bytes()) for stage in stages}
        stage = next((stage for stage, plan in plans.items() if plan["digest"] == chosen.run), None)
        if stage is None:
            raise PlanError(f"{root}: the selection {chosen.name!r} belongs to other scores than there are")
        config = read(stage / "config.yaml")
        self._source, self._chosen = open_source(config["source"], None, config["column"]), chosen
        if json.loads(json.dumps(self._source.identity)) != plans[stage]["meaning"]["source"]:
            raise PlanError(f"{root}: {config['source']} holds other files than were scored; score it anew (run=...)")
        self.n_tasks, self.available = self._source.n_tasks, min(self._source.available, chosen.covered)
        self.shard_size, self.batch = self._source.shard_size, self._source.batch

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two sources the same."""
        return {**self._source.identity, "selection": self._chosen.sha256}

    def originals(self, start: int, stop: int) -> list[Original]:
        """Pictures `start` to `stop` - 1, with the reason of the selection where it does not take one."""
        originals = self._source.originals(start, stop)
        return [replace(one, reason=one.reason or self._chosen.reason(int(one.key))) for one in originals]


class Joined:
    """Several sources, one after the other; keys count on, and names carry the prefix.

    What stands behind a run that is still being made has its keys already, but is not among the first `available`.
    """

    shard_size: int | None = None
    batch: int | None = None

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources, self._starts = sources, dict[str, int]()
        self.n_tasks = self.available = 0
        for prefix, source in sources.items():
            self._starts[prefix] = self.n_tasks
            if self.available == self.n_tasks:
                self.available += source.available
            self.n_tasks += source.n_tasks

    def ranges(self) -> list[range]:
        """The numbers that are there, of each source."""
        return [
            range(self._starts[prefix], self._starts[prefix] + source.available)
            for prefix, source in self._sources.items()
        ]

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two sources the same."""
        return {prefix: source.identity for prefix, source in self._sources.items()}

    def originals(self, start: int, stop: int) -> list[Original]:
        """Pictures `start` to `stop` - 1."""
        found = []
        for prefix, source in self._sources.items():
            first = self._starts[prefix]
            for one in source.originals(max(0, start - first), max(0, stop - first)):
                found.append(replace(one, key=f"{first + int(one.key):09d}", name=f"{prefix}/{one.name}"))
        return found


def taken(source: Source) -> Iterator[Original]:
    """The pictures that are there and not rejected; of several sources those of each."""
    ranges = source.ranges() if isinstance(source, Joined) else [range(source.available)]
    for there in ranges:
        for first in there[::_STEP]:
            originals = source.originals(first, min(first + _STEP, there.stop))
            yield from (one for one in originals if not one.reason)


class SourcePlan(Cut[Any]):
    """The pictures of a source, cut into shards and batches by their numbers alone."""

    def __init__(self, source: Source, batch: int, shard_size: int) -> None:
        """Raises PlanError when keys or shard names would overflow."""
        self._source, self.batch, self.shard_size = source, batch, shard_size
        self._check_names()

    @property
    def n_tasks(self) -> int:
        """All pictures, whatever `limit` says."""
        return self._source.n_tasks

    def whole(self, count: int) -> int:
        """The first `count` pictures without those of a batch that is not complete yet."""
        if count >= self.n_tasks:
            return self.n_tasks
        return count - count % self.shard_size % self.batch

    def tasks(self, shard: int) -> list[Original]:
        """The pictures of a shard in key order, rejected ones too."""
        keys = self._range(shard)
        return self._source.originals(keys.start, keys.stop)

    def batches(self, shard: int) -> list[list[Original]]:
        """Cut at every `batch`-th number."""
        tasks = self.tasks(shard)
        return [tasks[first : first + self.batch] for first in range(0, len(tasks), self.batch)]


def selected_keys(path: Path) -> set[str]:
    """The keys in a file: .txt, one a line, or a selection (.parquet with `key`, and `verdict` if it is there).

    Raises:
        ConfigError: it cannot be read as either.
    """
    try:
        if path.suffix == ".parquet":
            rows = table.decode(path.read_bytes(), ("key", "verdict"))
            return {row["key"] for row in rows if row.get("verdict", "kept") == "kept"}
        if path.suffix == ".txt":
            return set(path.read_text(encoding="utf-8").split())
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"keys {path}: cannot be read: {error!r}") from None
    raise ConfigError(f"keys {path}: expected .txt (a key a line) or .parquet (a column key)")
