"""The kept images of a genir run; one that is still being made grows here too."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from genir import images
from genir.errors import ImageError, PlanError
from genir.shards import reader
from genir.shards.files import Row, ShardFiles, read_marker
from genir.shards.selection import NOT_SELECTED, Selection
from genir.sources.original import NO_PIXELS, Original
from genir.sources.tars import Member, samples

_KEPT = 32  # tables of so many shards are kept in memory


class RunSource:
    """Images of a run under their own keys; rejected ones are there too, with their reason."""

    shard_size: int | None
    batch: int | None

    def __init__(self, root: Path, selected: Collection[str] | None = None, selection: Selection | None = None) -> None:
        """Look at the plan and the markers.

        Args:
            root: the run directory.
            selected: keys to take of those that were kept; None takes all.
            selection: verdicts that replace the run's own.

        Raises:
            PlanError: not a run, or nothing of it is finished; a selection of another run.
        """
        self._root, self._selected, self._selection = root, selected, selection
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
        if selection is not None and selection.run != self._digest:
            raise PlanError(f"{root}: the selection {selection.name!r} belongs to another run")
        self._rows = lru_cache(_KEPT)(self._read_rows)
        self.available = self._finished()
        if selection is not None:
            self.available = min(self.available, selection.covered)
        if not self.available:
            raise PlanError(f"{root}: its first shard is not finished; run `genir generate` on it first")

    @property
    def identity(self) -> dict[str, object]:
        """What makes two sources the same; a run may move and grow."""
        selection = {} if self._selection is None else {"selection": self._selection.sha256}
        return {"run": self._digest, **selection}

    def originals(self, start: int, stop: int) -> list[Original]:
        """Images `start` to `stop` - 1; one that is not there yet has this as its reason."""
        return [self._original(number) for number in range(start, min(stop, self.n_tasks))]

    def _original(self, number: int) -> Original:
        key, shard = f"{number:09d}", number // self._cut
        row = self._rows(shard).get(key)
        if row is None:
            return Original(key, key, "", "not made yet", _nothing)
        reason = self._reason(number, row)
        if not reason and row["verdict"] != "kept":
            path = beside(self._root, self._files(shard).name, key)
            if path is not None:
                return Original(
                    key, key, row["prompt"], "", partial(_read_beside, path, row), row.get("category") or ""
                )
            reason = NO_PIXELS
        read = partial(_read, self._files(shard), row)
        name = row.get("source") or key  # of a picture that `genir annotate` put into a run
        return Original(key, name, row["prompt"] or "", reason, read, row.get("category") or "")

    def _reason(self, number: int, row: Row) -> str:
        if self._selection is not None:
            return self._selection.reason(number)
        if row["verdict"] != "kept":
            return row["reason"] or row["verdict"]
        return "" if self._selected is None or row["key"] in self._selected else NOT_SELECTED

    def _files(self, shard: int) -> ShardFiles:
        return ShardFiles.of(self._root / "image", shard, self._shards)

    def _read_rows(self, shard: int) -> dict[str, Row]:
        files = self._files(shard)
        return {row["key"]: row for row in reader.rows(files)} if files.marker.exists() else {}

    def _finished(self) -> int:
        """All keys below are there: the first finished shards, up to the target of the run's latest launch.

        A selection says itself what is taken: it is not bound to the target.
        """
        target = None
        with contextlib.suppress(FileNotFoundError, KeyError):
            if self._selection is None:
                target = json.loads((self._root / "goal.json").read_bytes())["kept"]
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


def _read_beside(path: Path, row: Row) -> tuple[np.ndarray, bool]:
    return judged_pixels(path, row["pixels_sha256"]), bool(row.get("synthetic", True))


def beside(root: Path, shard: str, key: str) -> Path | None:
    """The pixels of a rejected image, where they were kept or made again."""
    folders = (root / "regenerated", root / "rejects" / shard)
    files = (folder / f"{key}.{ending}" for folder in folders for ending in ("png", "webp"))
    return next((file for file in files if file.exists()), None)


def judged_pixels(path: Path, sha256: str) -> np.ndarray:
    """Pixels that lie beside the shards; raises ImageError if they are not those that the gates saw."""
    pixels_CHW = images.decode(path.read_bytes())
    if images.pixels_sha256(pixels_CHW) != sha256:
        raise ImageError(f"{path}: other pixels than were judged (made again on other hardware or libraries?)")
    return pixels_CHW
