"""The kept images of a genir run; one that is still being made grows here too."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from genir import images
from genir.errors import ImageError, PlanError
from genir.shards import reader
from genir.shards.files import Row, ShardFiles, read_marker
from genir.sources.original import Original
from genir.sources.tars import Member, samples

_KEPT = 32  # tables of so many shards are kept in memory


class RunSource:
    """Images of a run under their own keys; rejected ones are there too, with their reason."""

    shard_size: int | None
    batch: int | None

    def __init__(self, root: Path, selected: Collection[str] | None = None) -> None:
        """Look at the plan and the markers.

        Args:
            root: the run directory.
            selected: keys to take; None takes all that were kept.

        Raises:
            PlanError: not a run, or nothing of it is finished.
        """
        self._root, self._selected = root, selected
        try:
            plan = json.loads((root / "plan.json").read_bytes())
            self.n_tasks, self._shards = int(plan["tasks"]), int(plan["shards"])
            self._cut = self.shard_size = int(plan["shard_size"])
            self.batch = int(plan["meaning"]["batch"])
            self._digest = str(plan["digest"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PlanError(f"{root}/plan.json: not the plan of a genir run ({error!r})") from None
        if plan.get("stage", "image") != "image":
            raise PlanError(f"{root}: holds pairs, not images; give the input of that run")
        self._rows = lru_cache(_KEPT)(self._read_rows)
        self.available = self._finished()
        if not self.available:
            raise PlanError(f"{root}: its first shard is not finished; run `genir generate` on it first")

    @property
    def identity(self) -> dict[str, object]:
        """What makes two sources the same; a run may move and grow."""
        return {"run": self._digest}

    def originals(self, start: int, stop: int) -> list[Original]:
        """Images `start` to `stop` - 1; one that is not there yet has this as its reason."""
        return [self._original(number) for number in range(start, min(stop, self.n_tasks))]

    def _original(self, number: int) -> Original:
        key, shard = f"{number:09d}", number // self._cut
        row = self._rows(shard).get(key)
        if row is None:
            return Original(key, key, "", "not made yet", _nothing)
        return Original(key, key, row["prompt"], self._reason(row), partial(_read, self._files(shard), row))

    def _reason(self, row: Row) -> str:
        if row["verdict"] != "kept":
            return row["reason"] or row["verdict"]
        return "" if self._selected is None or row["key"] in self._selected else "not selected"

    def _files(self, shard: int) -> ShardFiles:
        return ShardFiles.of(self._root / "image", shard, self._shards)

    def _read_rows(self, shard: int) -> dict[str, Row]:
        return {row["key"]: row for row in reader.rows(self._files(shard))}

    def _finished(self) -> int:
        """All keys below are there: the first finished shards, up to the target of the run's latest launch."""
        try:
            target = json.loads((self._root / "goal.json").read_bytes())["kept"]
        except (FileNotFoundError, KeyError):
            target = None
        covered = kept = 0
        for shard in range(self._shards):
            marker = read_marker(self._files(shard))
            if marker is None:
                break
            covered, kept = marker.covered, kept + marker.kept
            if covered < min((shard + 1) * self._cut, self.n_tasks) or (target and kept >= target):
                break
        return covered


def _nothing() -> tuple[np.ndarray, bool]:
    raise AssertionError("pictures with a reason are not read")


def _read(files: ShardFiles, row: Row) -> tuple[np.ndarray, bool]:
    picture = next((sample.picture for sample in samples(files.tar) if sample.name == row["key"]), None)
    if not isinstance(picture, Member):
        raise ImageError(f"{files.tar}: no picture {row['key']}, though its table says kept")
    return images.decode(picture.read()), bool(row.get("synthetic", True))
