"""Prompts drawn by weight: what a category or a tag is worth decides how many images its prompts get."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from math import floor, prod
from typing import TYPE_CHECKING, Protocol

import numpy as np

from genir.errors import PromptError
from genir.records import Prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BLOCK = 4096
_MOST = 65535  # images of one prompt


class Prompts(Protocol):
    """Prompts found by position."""

    count: int

    def read(self, start: int, stop: int) -> Iterator[Prompt]:
        """Prompts start .. stop - 1."""
        ...


class Weighted:
    """Prompts in rounds: round r holds, in file order, those that get more than r images.

    A prompt gets `replicas` times the product of the weights of its category and tags. Parts of an image are settled
    among the prompts of equal weights, in file order: of a category with weight 0.5 every second prompt gets one.
    With weights of 1 the rounds are the replicas, and the tasks those of a plan without weights.
    """

    def __init__(self, prompts: Prompts, weights: Mapping[str, float], replicas: int) -> None:
        """Read all prompts once; two bytes each are kept.

        Raises:
            PromptError: a weight for what no prompt has, nothing left, or too many images of one prompt.
        """
        self._prompts = prompts
        images, found = array("H"), Counter[tuple[str, ...]]()
        for prompt in prompts.read(0, prompts.count):
            names = tuple(sorted({prompt.category, *prompt.tags} & weights.keys()))
            share = replicas * prod(weights[name] for name in names)
            if share > _MOST:
                raise PromptError(f"weights: {share:g} images of the prompt {prompt.text[:40]!r}; at most {_MOST}")
            found[names] += 1
            images.append(_whole(found[names] * share) - _whole((found[names] - 1) * share))
        unknown = sorted(set(weights).difference(*found))
        if unknown:
            raise PromptError(f"weights.{unknown[0]}: no prompt has this category or tag")
        self._images = np.frombuffer(images, dtype=np.uint16)
        starts = np.arange(0, len(self._images), _BLOCK)
        rounds = range(int(self._images.max()))
        # for every round, how many of its prompts lie before the end of each block
        self._ends = [np.add.reduceat(self._images > number, starts, dtype=np.int64).cumsum() for number in rounds]
        self._round_ends = list(np.cumsum([int(ends[-1]) for ends in self._ends]))
        if not self._round_ends:
            raise PromptError("weights: no prompt is left; give one of the categories a weight above 0")
        self.count = int(self._round_ends[-1])

    def read(self, start: int, stop: int) -> Iterator[Prompt]:
        """Prompts start .. stop - 1 of all rounds."""
        while start < stop:
            number = bisect_right(self._round_ends, start)
            first = int(self._round_ends[number - 1]) if number else 0
            end = min(stop, int(self._round_ends[number]))
            yield from self._read_round(number, start - first, end - first)
            start = end

    def _read_round(self, number: int, start: int, stop: int) -> Iterator[Prompt]:
        positions = self._positions(number, start, stop)
        wanted = set(positions)
        begin, end = positions[0], positions[-1] + 1
        for position, prompt in zip(range(begin, end), self._prompts.read(begin, end), strict=True):
            if position in wanted:
                yield prompt

    def _positions(self, number: int, start: int, stop: int) -> list[int]:
        ends = self._ends[number]
        block = int(np.searchsorted(ends, start, side="right"))
        skip = start - (int(ends[block - 1]) if block else 0)
        found: list[int] = []
        while len(found) < skip + stop - start:
            inside = np.flatnonzero(self._images[block * _BLOCK : (block + 1) * _BLOCK] > number)
            found += (inside + block * _BLOCK).tolist()
            block += 1
        return found[skip : skip + stop - start]


def _whole(images: float) -> int:
    return floor(images + 1e-9)  # 3 * 0.1 / 0.1 is three
