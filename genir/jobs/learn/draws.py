"""Which pictures, noise and timesteps a forward pass gets: functions of (seed, pass, place), not of rank or history."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Generic, TypeVar

import torch

from genir import seeds
from genir.backbone.guidance import noise_like
from genir.backbone.sdxl import Micro
from genir.errors import TrainSetError
from genir.objective.batch import Examples
from genir.trainset import Size

if TYPE_CHECKING:
    from torch import Tensor

    from genir.jobs.learn.cache import Cache
    from genir.trainset import Picture

Item = TypeVar("Item")


@lru_cache(maxsize=256)
def _order(seed: int, count: int) -> tuple[int, ...]:
    return tuple(torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist())


class Stream(Generic[Item]):
    """Items without an end: all of them once, in an order of its own every time round."""

    def __init__(self, items: Sequence[Item], seed: int, name: str) -> None:
        self._items, self._seed, self._name = items, seed, name

    def take(self, start: int, stop: int) -> list[Item]:
        """Items start .. stop - 1."""
        found = []
        for position in range(start, stop):
            turn, place = divmod(position, len(self._items))
            order = _order(seeds.derive(self._seed, f"{self._name}:{turn}", "order"), len(self._items))
            found.append(self._items[order[place]])
        return found


class Draws:
    """Examples with noise, timesteps and caption dropout."""

    def __init__(
        self,
        pictures: Sequence[Picture],
        latents: Cache,
        *,
        seed: int,
        device: torch.device,
        timesteps: tuple[int, int],
        caption_dropout: float,
        own_micro: bool,
    ) -> None:
        """Timesteps are drawn from first .. last - 1 of `timesteps`; `own_micro` tells SDXL a picture's own size."""
        self.pictures, self.seed, self.device = pictures, seed, device
        self._latents, self._timesteps = latents, timesteps
        self._caption_dropout, self._own_micro = caption_dropout, own_micro

    def examples(self, indices: Sequence[int], key: str) -> Examples | None:
        """The pictures of these indices; `key` names what is drawn for them. None for no pictures."""
        if not indices:
            return None
        generators = [
            torch.Generator().manual_seed(seeds.derive(self.seed, f"{key}:{place}", "learn"))
            for place in range(len(indices))
        ]
        chances = [torch.rand(2, generator=generator, dtype=torch.float64).tolist() for generator in generators]
        first, last = self._timesteps
        captions = [self.pictures[index].caption for index in indices]
        latents_NCHW = torch.stack([self._latents.read(index, "latents") for index in indices])
        return Examples(
            latents_NCHW.to(self.device),
            tuple("" if c[1] < self._caption_dropout else text for text, c in zip(captions, chances, strict=True)),
            self._micro(indices),
            noise_like(_shape(latents_NCHW), generators, self.device),
            torch.tensor([first + int(c[0] * (last - first)) for c in chances], device=self.device),
        )

    def counterparts(self, examples: Examples, indices: Sequence[int]) -> Examples:
        """Other pictures with the noise, timesteps and captions of `examples`."""
        latents_NCHW = torch.stack([self._latents.read(index, "latents") for index in indices])
        return replace(examples, latents_NCHW=latents_NCHW.to(self.device), micro=self._micro(indices))

    def _micro(self, indices: Sequence[int]) -> tuple[Micro, ...]:
        if not self._own_micro:
            return (Micro(),) * len(indices)
        return tuple(Micro(original=self.pictures[n].stored_HW, crop=self.pictures[n].crop) for n in indices)


def _shape(latents_NCHW: Tensor) -> tuple[int, int, int]:
    _, channels, rows, columns = latents_NCHW.shape
    return channels, rows, columns


class Buckets(Generic[Item]):
    """Items by size; a forward pass gets one size, drawn in proportion to its number of items."""

    def __init__(self, items: Sequence[Item], sizes: Sequence[Size], seed: int, name: str) -> None:
        grouped: dict[Size, list[Item]] = defaultdict(list)
        for item, size in zip(items, sizes, strict=True):
            grouped[size].append(item)
        self.streams = {size: Stream(group, seed, f"{name}:{size}") for size, group in sorted(grouped.items())}
        self._ends = list(accumulate(len(grouped[size]) for size in self.streams))
        self._seed, self._name = seed, name

    def size(self, number: int) -> Size:
        """Of forward pass `number`."""
        if len(self.streams) == 1:
            return next(iter(self.streams))
        place = seeds.derive(self._seed, f"{self._name}:{number}", "bucket") % self._ends[-1]
        return list(self.streams)[bisect.bisect_right(self._ends, place)]


class DenoiseBatches:
    """Positives and negatives of one size; over the passes, `ratio` (below 1) of the images are negatives."""

    def __init__(
        self, draws: Draws, positives: Sequence[int], negatives: Sequence[int], batch: int, ratio: float
    ) -> None:
        self._draws, self._batch, self._ratio = draws, batch, ratio
        self._positives = self._bucketed(positives, "positive")
        self._negatives = self._bucketed(negatives, "negative")

    def _bucketed(self, indices: Sequence[int], role: str) -> Buckets[int]:
        sizes = [self._draws.pictures[index].size_HW for index in indices]
        return Buckets(indices, sizes, self._draws.seed, f"denoise:{role}")

    def __call__(self, number: int) -> tuple[Examples | None, Examples | None]:
        """(positives, negatives) of forward pass `number`; a side may be None."""
        size = self._positives.size(number)
        bad_begin, bad_end = (int(n * self._batch * self._ratio + 1e-9) for n in (number, number + 1))
        good_begin, good_end = number * self._batch - bad_begin, (number + 1) * self._batch - bad_end
        good = self._positives.streams[size].take(good_begin, good_end) if good_end > good_begin else []
        bad = self._negatives.streams[size].take(bad_begin, bad_end) if bad_end > bad_begin else []
        return (
            self._draws.examples(good, f"denoise:positive:{number}"),
            self._draws.examples(bad, f"denoise:negative:{number}"),
        )


class PairBatches:
    """Positives and their own negatives of one size, with equal noise."""

    def __init__(self, draws: Draws, pairs: Sequence[tuple[int, int]], batch: int, name: str) -> None:
        if not pairs:
            raise TrainSetError(
                "the training set has no positive and negative of equal `pair` and `origin`: only objectives.denoise "
                "can learn from it; `genir prepare` makes pairs"
            )
        self._draws, self._batch, self._name = draws, batch, name
        sizes = [draws.pictures[positive].size_HW for positive, _ in pairs]
        self._buckets = Buckets(pairs, sizes, draws.seed, name)

    def __call__(self, number: int) -> tuple[Examples, Examples]:
        """(positives, negatives) of forward pass `number`."""
        stream = self._buckets.streams[self._buckets.size(number)]
        pairs = stream.take(number * self._batch, (number + 1) * self._batch)
        positives = self._draws.examples([positive for positive, _ in pairs], f"{self._name}:{number}")
        assert positives is not None
        return positives, self._draws.counterparts(positives, [negative for _, negative in pairs])
