"""Which kept images are there twice: equal pixels or equal noise by the tables, near-duplicates by their pixels too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from genir import images
from genir.metrics.duplicates import earlier_equals, near

if TYPE_CHECKING:
    from genir.shards.files import Row
    from genir.sources import Source

Twins = dict[int, tuple[str, int]]
"""Task -> what it shares with an earlier kept one, and with which: its noise, its pixels, nearly its pixels."""

BITS = 7
"""Of 3,655 pairs of different pictures the closest hashes differ in 16 bits (docs/methods.md)."""
DISTANCE = 0.25
"""Of features: different pictures are at 0.31 and more, a picture's JPEG, resized and brightened copies below."""
SIDE = 128
"""Pixels; what the network of the features was trained on."""


def exact(kept: Callable[[], Iterator[list[Row]]]) -> Twins:
    """Equal pixels and equal noise; `kept` gives the rows of kept images, shard after shard."""
    found: Twins = {}
    columns: dict[str, Literal["seed", "pixels_sha256"]] = {"noise": "seed", "duplicate": "pixels_sha256"}
    for name, column in columns.items():  # the latter says more: asked last
        keys_N, values_N = _column(kept(), column)
        first_N = earlier_equals(values_N)
        twins = np.flatnonzero(first_N != np.arange(len(first_N)))
        found |= {int(keys_N[n]): (name, int(keys_N[first_N[n]])) for n in twins}
    return found


def nearly(kept: Callable[[], Iterator[list[Row]]], source: Source) -> Twins:
    """Near-duplicates: perceptual hashes propose, scene features of the pixels in `source` decide."""
    from genir.metrics.features import network

    keys_N, hashes_N = _column(kept(), "phash")
    model = None

    def features(place: int) -> np.ndarray | None:
        import torch

        nonlocal model
        number = int(keys_N[place])
        (original,) = source.originals(number, number + 1)
        if original.reason:
            return None
        pixels_CHW, _ = original.read()
        model = model or network.load()
        fitted_CHW = np.ascontiguousarray(images.fit(pixels_CHW, (SIDE, SIDE)))
        return network.scene_features(torch.from_numpy(fitted_CHW)[None], model)[0].numpy()

    pairs = near(hashes_N, BITS, features, DISTANCE)
    return {int(keys_N[place]): ("similar", int(keys_N[first])) for place, first in pairs}


def _column(shards: Iterator[list[Row]], name: Literal["seed", "pixels_sha256", "phash"]) -> tuple[np.ndarray, ...]:
    """Keys and values of the rows that have one: 16 bytes an image."""
    keys, values = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for rows in shards:
        there = [row for row in rows if row.get(name) is not None]
        keys.append(np.array([int(row["key"]) for row in there], np.int64))
        values.append(np.array([_bits(row[name]) for row in there], np.uint64))
    return np.concatenate(keys), np.concatenate(values)


def _bits(value: str | int) -> int:
    """64 bits of a hash; a number as it is. Among 100 million images two different ones are equal with p = 0.0003."""
    return value % (1 << 64) if isinstance(value, int) else int(value[:16], 16)
