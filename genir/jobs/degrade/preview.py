"""preview.png: the first pairs of a run, HQ beside LQ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genir import storage
from genir.sheet import Tile, contact_sheet, keys_drawn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from genir.jobs.degrade.made import Made

TILES, SIDE = 32, 256


class Preview:
    """The sheet of a run's first shard; a resume goes on with it."""

    def __init__(self, path: Path, shard_size: int) -> None:
        self._path, self._shard_size = path, shard_size
        self._sheet = path.read_bytes() if path.exists() else b""

    def add(self, batch: Sequence[Made]) -> None:
        """Draw the first epoch of a batch, if it is of the first shard and there is room."""
        if int(batch[0].original.key) >= self._shard_size:
            return
        drawn = keys_drawn(self._sheet)
        tiles = [tile for made in batch if made.original.key not in drawn for tile in _tiles(made)]
        if tiles and len(drawn) < TILES:
            self._sheet = contact_sheet(tiles[: TILES - len(drawn)], side=SIDE, before=self._sheet)
            with storage.explained(self._path):
                storage.write(self._path, self._sheet)


def _tiles(made: Made) -> list[Tile]:
    if made.pair is None or made.epoch:
        return []
    key, pair = made.original.key, made.pair
    return [Tile(key, "HQ", "kept", "", pair.hq_CHW), Tile(key, "LQ", "kept", "", pair.lq_CHW)]
