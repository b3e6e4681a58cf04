"""The folder of an export: whose it is, what of it is done, and one process at a time."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genir import storage
from genir.config.base import differences
from genir.errors import PlanError, ShardError
from genir.sources.stored import FinishedShard

DOCUMENT = "export.json"
_HIDDEN = ".genir"


@dataclass(frozen=True)
class Unit:
    """Shards of a run that are exported together."""

    name: str
    shards: list[FinishedShard]
    contents: bytes
    """What it is made of, as its marker says it."""


class ExportFolder:
    """An export in the making.

    `export.json` says what it is; `.genir/` holds a marker for every finished unit, and files in the making.
    """

    def __init__(self, out: Path) -> None:
        self.out, self._hidden = out, out / _HIDDEN
        self.scratch = self._hidden / "scratch"

    def check(self, meaning: Mapping[str, Any]) -> None:
        """Refuse a folder of something else, or an export with another meaning; writes nothing.

        Raises:
            PlanError: it is one.
        """
        path = self.out / DOCUMENT
        if path.exists():
            try:
                before = json.loads(path.read_bytes())["meaning"]
            except (ValueError, KeyError, TypeError) as error:
                raise PlanError(f"{path}: cannot be read ({error!r}); choose another folder (out=...)") from None
            changed = differences(before, json.loads(json.dumps(meaning)))
            if changed:
                raise PlanError(f"{self.out}: is another export: {'; '.join(changed[:6])}; choose another (out=...)")
        elif self.out.exists() and (not self.out.is_dir() or any(path.name != _HIDDEN for path in self.out.iterdir())):
            raise PlanError(f"{self.out}: is there already and is no export of genir; choose another one (out=...)")

    @property
    def is_begun(self) -> bool:
        """Was something exported here before?"""
        return (self.out / DOCUMENT).exists()

    @contextlib.contextmanager
    def opened(self, meaning: Mapping[str, Any]) -> Iterator[None]:
        """Create the folder or go on with it, alone.

        Raises:
            PlanError: as `check`.
            ShardError: another process is at work in it, or it cannot be written.
        """
        with storage.explained(self.out):
            self.scratch.mkdir(parents=True, exist_ok=True)
            lock = storage.try_lock(self._hidden / "lock")
        if lock is None:
            raise ShardError(
                f"{self.out}: another genir export is at work there; wait for it, or choose another (out=...)"
            )
        try:
            self.check(meaning)
            for left in self.scratch.iterdir():  # of a killed process
                storage.remove(left)
            if not self.is_begun:
                self._write({"meaning": meaning})
            yield
        finally:
            os.close(lock)

    def is_done(self, unit: Unit) -> bool:
        """Is the unit exported, from these very shards?"""
        try:
            return self._marker(unit).read_bytes() == unit.contents
        except FileNotFoundError:
            return False

    def mark(self, units: Sequence[Unit]) -> None:
        """The units are exported, once their files are on the disk."""
        storage.settle()
        for unit in units:
            storage.write(self._marker(unit), unit.contents)

    def finish(self, meaning: Mapping[str, Any], counts: Mapping[str, int]) -> None:
        """Note how many samples each split has."""
        self._write({"meaning": meaning, "samples": dict(counts)})

    def _marker(self, unit: Unit) -> Path:
        return self._hidden / f"{unit.name}.done"

    def _write(self, facts: Mapping[str, Any]) -> None:
        with storage.explained(self.out):
            storage.write(self.out / DOCUMENT, (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode())

    def free(self) -> int:
        """Bytes that can still be written there."""
        there = next(path for path in (self.out, *self.out.absolute().parents) if path.is_dir())
        return storage.free_bytes(there)
