"""Compose prompts from the grammar: seeded, streamed, distinct, with exact counts for every category."""

from __future__ import annotations

import hashlib
import heapq
import re
from random import Random
from typing import TYPE_CHECKING

from genir.errors import PromptError
from genir.promptbank.wording import Template, sentence, tags
from genir.records import Prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from genir.promptbank.grammar import Category, Grammar, Group, Subject

LICENCE = "CC0-1.0"
TRIES = 1000  # draws for one prompt before the vocabulary counts as used up
_WORD = re.compile(r"[a-zA-Z]+(?:['-][a-zA-Z]+)*")
# Words that may stand twice in a prompt.
_small = """
    a an and at by from in is are of on or the to with has have behind light there its
"""
_SMALL = frozenset(_small.split())


def quotas(count: int, shares: Mapping[str, float]) -> dict[str, int]:
    """`count` prompts divided by the shares; the largest remainders round up.

    Raises:
        PromptError: no share is above zero.
    """
    total = sum(shares.values())
    if total <= 0:
        raise PromptError("the shares of the categories are all zero; give at least one of them a share")
    exact = {name: count * share / total for name, share in shares.items()}
    counts = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (counts[name] - exact[name], name))
    for name in by_remainder[: count - sum(counts.values())]:
        counts[name] += 1
    return counts


def compose(grammar: Grammar, counts: Mapping[str, int], seed: int, sentences: float = 0.5) -> Iterator[Prompt]:
    """Yield distinct prompts, the categories taking turns, a pure function of the arguments.

    Args:
        grammar: vocabularies and templates.
        counts: prompts of each category, see `quotas`.
        seed: of every draw.
        sentences: share of prompts that are sentences; the others are lists of tags.

    Memory: eight bytes and a set entry a prompt, for the distinctness.

    Raises:
        PromptError: an unknown category, or one whose vocabulary is used up.
    """
    unknown = sorted(set(counts) - set(grammar.categories))
    if unknown:
        raise PromptError(f"no category {unknown[0]!r}; the grammar has {', '.join(grammar.categories)}")
    templates = [Template.parse(text) for text in grammar.sentences]
    writers = {name: _Writer(grammar, grammar.categories[name], templates, seed, sentences) for name in counts}
    seen: set[bytes] = set()
    for name in _turns(counts):
        for _ in range(TRIES):
            prompt, digest = writers[name].draw()
            if prompt is not None and digest not in seen:
                break
        else:
            raise PromptError(f"category {name}: no new prompt in {TRIES} draws; ask for fewer than {counts[name]}")
        seen.add(digest)
        yield prompt


class _Writer:
    """Prompts of one category, each subject once before any comes again."""

    def __init__(
        self, grammar: Grammar, category: Category, templates: list[Template], seed: int, sentences: float
    ) -> None:
        self.category, self.clashes, self.sentences = category, grammar.clashes, sentences
        self.rng = Random(f"genir:compose:{seed}:{category.name}")
        self.source = f"genir compose, seed {seed}"
        self.templates = {
            group.name: [template for template in templates if template.fits(group)] for group in category.groups
        }
        self.deck: list[tuple[Group, Subject]] = []

    def draw(self) -> tuple[Prompt | None, bytes]:
        """One prompt, or None where its words clash, and a digest of it that ignores case."""
        rng = self.rng
        if not self.deck:
            self.deck = [(group, subject) for group in self.category.groups for subject in group.subjects]
            self.deck.sort(key=lambda _: rng.random())
        group, subject = self.deck[-1]
        is_sentence = rng.random() < self.sentences
        if is_sentence:
            templates = self.templates[group.name]
            text = sentence(templates[int(rng.random() * len(templates))], group, subject, rng)
        else:
            text = tags(group, subject, rng)
        digest = hashlib.blake2b(text.lower().encode(), digest_size=8).digest()
        if self._clash(text, subject.text):
            return None, digest
        self.deck.pop()
        style = "sentence" if is_sentence else "tag-list"
        prompt = Prompt(
            text,
            self.category.name,
            id=digest.hex(),
            negative=self.category.negative,
            tags=(style, group.name, subject.text),
            source=self.source,
            licence=LICENCE,
        )
        return prompt, digest

    def _clash(self, text: str, subject: str) -> bool:
        """Does a word stand twice, or beside one that excludes it? The subject's own words may repeat each other."""
        words = _WORD.findall(text)
        stems = [_stem(part) for word in words for part in word.split("-")]
        if len(set(stems)) < len(stems):
            seen: set[str] = set()
            for stem in stems:
                if stem in seen and stem not in _SMALL and subject.count(stem) < 2:
                    return True
                seen.add(stem)
        distinct = set(words)
        return any(not self.clashes[word].isdisjoint(distinct) for word in distinct & self.clashes.keys())


def _stem(word: str) -> str:
    """Close enough to tell `rust-streaked` and `rust streaks`, `grazing` and `grazes`."""
    for ending in ("ed", "ing", "es", "s", "y", "e"):
        if word.endswith(ending) and len(word) > len(ending) + 3:
            return word[: -len(ending)]
    return word


def _turns(counts: Mapping[str, int]) -> Iterator[str]:
    """Each name as often as it is counted, evenly spread: prompt j of n is due at (j + 1/2) / n."""
    heap = [(0.5 / count, name, 0) for name, count in counts.items() if count]
    heapq.heapify(heap)
    while heap:
        _, name, done = heap[0]
        yield name
        done += 1
        if done < counts[name]:
            heapq.heapreplace(heap, ((done + 0.5) / counts[name], name, done))
        else:
            heapq.heappop(heap)
