"""preview.png: the first images of a run, drawn while they pass, so that a bad run is seen after minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genir import storage
from genir.sheet import contact_sheet, keys_drawn, tile

if TYPE_CHECKING:
    from pathlib import Path

    from genir.records import Sample

TILES, SIDE = 32, 256


class Preview:
    """The sheet of a run's first shard; a resume goes on with it."""

    def __init__(self, path: Path, shard_size: int) -> None:
        self._path, self._shard_size = path, shard_size
        self._sheet = path.read_bytes() if path.exists() else b""

    def add(self, samples: list[Sample]) -> None:
        """Draw a judged batch too, if it is of the first shard and there is room."""
        if int(samples[0].task.key) >= self._shard_size:
            return
        drawn = keys_drawn(self._sheet)
        tiles = [tile(sample) for sample in samples if sample.task.key not in drawn]
        if tiles and len(drawn) < TILES:
            self._sheet = contact_sheet(tiles[: TILES - len(drawn)], side=SIDE, before=self._sheet)
            with storage.explained(self._path):
                storage.write(self._path, self._sheet)
