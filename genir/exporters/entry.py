"""What is exported: all that is known of a picture before a pixel is read."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from genir import seeds

Role = Literal["hq", "lq", "sr_bicubic"]
FOLDER = 4000  # samples, for formats that want few files in a folder


@dataclass(frozen=True, slots=True)
class Stored:
    """One kept picture of a run, or pair of pictures."""

    key: str
    """Nine digits."""
    member: str
    """Its name in the tar: the key, and the epoch of one of several LQs."""
    prompt: str
    caption: str
    synthetic: bool
    height: int
    """Of the HQ in pixels."""
    width: int
    labels: tuple[str, ...] = ()
    """Of an annotated image: `depth`, `edge`, ..."""
    captions: tuple[tuple[str, str], ...] = ()
    """Captioner and text, of formats that store several."""
    rejected: str = ""
    """SHA-256 of the pixels of an image that the run rejected and a selection takes: they lie beside the shards."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One exported picture, or pair of pictures."""

    stored: Stored
    name: str
    """Letters, digits and underscores: readers cut names at dots, spaces and commas."""
    split: str
    """`train` or `val`; where nothing is held out `Division.undivided`."""
    folder: str
    """Of `FOLDER` samples at most."""
    height: int
    """Of the HQ in pixels, as exported."""
    width: int
    factor: float
    """By which the HQ is reduced."""
    corner: tuple[int, int] | None
    """Top and left of a tile of the (reduced) HQ, in pixels; None: the whole."""

    @property
    def is_whole(self) -> bool:
        """Are its pictures those of the run, untouched?"""
        return self.corner is None and self.factor == 1


@dataclass(frozen=True)
class Division:
    """How pictures are held out, reduced and cut."""

    undivided: str = ""
    """Split of all, where nothing is held out."""
    val: float = 0.0
    """Share of the prompts that are held out."""
    by_prompt: bool = True
    """False: share of the keys."""
    factors: Sequence[float] = ()
    """Of reduced copies."""
    tile: int | None = None
    """Side in pixels."""
    step: int | None = None
    """From one tile to the next; None: the side."""

    def entries(self, unit: str, pictures: Iterable[Stored]) -> Iterator[Entry]:
        """Everything that is made of the pictures of a unit, in their order; `unit` names its folders."""
        numbers = itertools.count()
        for picture in pictures:
            split = self._split(picture)
            for level, factor in enumerate((1.0, *self.factors)):
                name = f"{picture.member}_m{level}" if level else picture.member
                height, width = (max(1, round(side * factor)) for side in (picture.height, picture.width))
                for suffix, corner, tile_height, tile_width in self._tiles(height, width):
                    folder = f"{unit}_{next(numbers) // FOLDER:02d}"
                    yield Entry(picture, name + suffix, split, folder, tile_height, tile_width, factor, corner)

    def _split(self, picture: Stored) -> str:
        if not self.val:
            return self.undivided
        # by a hash, so that no prompt is on both sides, and growth moves nothing
        by = picture.prompt if self.by_prompt and picture.prompt else picture.key
        return "val" if seeds.derive(0, by, "split") < self.val * 2**63 else "train"

    def _tiles(self, height: int, width: int) -> Iterator[tuple[str, tuple[int, int] | None, int, int]]:
        if self.tile is None:
            yield "", None, height, width
            return
        for number, corner in enumerate(corners(height, width, self.tile, self.step or self.tile), 1):
            yield f"_s{number:03d}", corner, self.tile, self.tile


def corners(height: int, width: int, side: int, step: int) -> Iterator[tuple[int, int]]:
    """Top and left of the tiles that lie inside, the last of a row or column at the border.

    As BasicSR's extract_subimages; none of a picture smaller than a tile.
    """
    return itertools.product(_starts(height, side, step), _starts(width, side, step))


def _starts(length: int, side: int, step: int) -> list[int]:
    starts = list(range(0, length - side + 1, step))
    return [*starts, length - side] if starts and starts[-1] + side < length else starts
