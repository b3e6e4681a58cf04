"""What is in a bank: categories, skeletons, lengths, and how near the nearest neighbour of a prompt is."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from genir.promptbank.words import skeleton, words_of

if TYPE_CHECKING:
    from genir.promptfile import PromptFiles

NEIGHBOURS = 500  # prompts whose nearest neighbour is looked for among all
TOP = 10


@dataclass
class Stats:
    """Counts of one bank; `nearest` holds Jaccard indices of word sets, 0..1, of a random sample to its nearest."""

    prompts: int = 0
    sha256: str = ""
    """Of all prompt texts in order: two banks with the same one are equal."""
    categories: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    """Words a prompt."""
    words: int = 0
    """Different words in the bank."""
    skeletons: Counter[str] = field(default_factory=Counter)
    nearest: list[float] = field(default_factory=list)

    @property
    def largest_skeleton_share(self) -> float:
        """Share of the prompts that have the most frequent skeleton."""
        return self.skeletons.most_common(1)[0][1] / self.prompts

    def length(self, quantile: float) -> int:
        """Words a prompt at a quantile, 0..1."""
        rest = quantile * (self.prompts - 1)
        for words in sorted(self.lengths):
            rest -= self.lengths[words]
            if rest < 0:
                return words
        return max(self.lengths)


def stats(prompts: PromptFiles, seed: int = 0, neighbours: int = NEIGHBOURS) -> Stats:
    """Read the bank once, streaming; memory grows with the different skeletons and words.

    Raises:
        PromptError: a record that cannot be used.
    """
    found, vocabulary, digest = Stats(), set[str](), hashlib.sha256()
    sample = _Sample(prompts, seed, neighbours)
    for position, prompt in enumerate(prompts.read(0, prompts.count)):
        words = words_of(prompt.text)
        found.prompts += 1
        found.categories[prompt.category] += 1
        found.lengths[len(words)] += 1
        found.skeletons[skeleton(prompt.text)] += 1
        vocabulary.update(words)
        digest.update(prompt.text.encode() + b"\n")
        sample.compare(position, set(words))
    found.words, found.sha256 = len(vocabulary), digest.hexdigest()
    found.nearest = sample.nearest.tolist()
    return found


class _Sample:
    """Exact nearest neighbours of a few prompts among all, without an index of all."""

    def __init__(self, prompts: PromptFiles, seed: int, count: int) -> None:
        rng = Random(f"genir:stats:{seed}")
        positions = sorted(rng.sample(range(prompts.count), min(count, prompts.count)))
        sets = [set(words_of(next(prompts.read(position, position + 1)).text)) for position in positions]
        self._row = {word: row for row, word in enumerate(sorted(set().union(*sets)))}
        self._has = np.zeros((len(self._row), len(sets)), dtype=np.uint8)
        for column, words in enumerate(sets):
            self._has[[self._row[word] for word in words], column] = 1
        self._sizes = np.array([len(words) for words in sets])
        self._column = {position: column for column, position in enumerate(positions)}
        self.nearest = np.zeros(len(sets))

    def compare(self, position: int, words: set[str]) -> None:
        rows = [self._row[word] for word in words if word in self._row]
        shared = self._has[rows].sum(axis=0, dtype=np.int64)
        similarity = shared / np.maximum(1, self._sizes + len(words) - shared)  # prompts of punctuation have no words
        if position in self._column:
            similarity[self._column[position]] = 0
        np.maximum(self.nearest, similarity, out=self.nearest)
