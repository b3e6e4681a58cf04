"""One picture in words: a list of tags, as GenIR's prompts are (arXiv 2410.18666, figure 2), or a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from genir.promptbank.grammar import Group, Subject

_PREPOSITION = re.compile(r"^(?:in|on|at|under|by|beside|near|inside|against) (?:(?:an?|the) )?")
_ARTICLE = re.compile(r"^(?:an?|the) ")
_VOWEL = re.compile(r"(?:[aeio]|u(?!ni|se|su|kule))", re.IGNORECASE)
_SILENT = ("hour", "heirloom")
_CONSONANT = ("one-", "eu", "ewe", "ouija")

Part = str | tuple[str, ...]


def pick(rng: Random, items: Sequence[str]) -> str:
    """One of the items. `random()` is the one method whose sequence Python promises to keep."""
    return items[int(rng.random() * len(items))]


def some(rng: Random, items: Sequence[str], count: int) -> list[str]:
    """`count` different items in random order."""
    chosen: list[str] = []
    while len(chosen) < count:
        item = pick(rng, items)
        if item not in chosen:
            chosen.append(item)
    return chosen


def with_article(phrase: str) -> str:
    """`a beagle`, `an old church`."""
    lower = phrase.lower()
    vowel = lower.startswith(_SILENT) or bool(_VOWEL.match(lower) and not lower.startswith(_CONSONANT))
    return f"{'an' if vowel else 'a'} {phrase}"


def tags(group: Group, subject: Subject, rng: Random) -> str:
    """A comma-separated list of 5 to 9 tags, mostly with the subject first."""
    lists = group.lists
    shown = _shown(group, subject, rng)
    rest = [_bare(trait, rng) for trait in some(rng, lists["traits"], 2 + int(rng.random() * 3))]
    if lists["does"] and rng.random() < 0.5:
        rest.append(pick(rng, lists["does"]))
    else:
        rest.append(_bare(pick(rng, lists["places"]), rng))
    rest.append(_bare(pick(rng, lists["light"]), rng))
    if rng.random() < 0.5:
        rest.append(pick(rng, lists["views"]))
    if lists["behind"] and rng.random() < 0.4:
        rest.append(f"{_bare(pick(rng, lists['behind']), rng)} behind")
    shuffled = some(rng, rest, len(rest)) if len(set(rest)) == len(rest) else rest
    shuffled.insert(0 if rng.random() < 0.8 else 1, shown)
    if group.setting and rng.random() < 0.25:
        shuffled.insert(0, group.setting)
    return ", ".join(shuffled)


def sentence(template: Template, group: Group, subject: Subject, rng: Random) -> str:
    """The template's sentence about the subject, with a capital and a full stop."""
    lists = group.lists
    shown = _shown(group, subject, rng)
    plural = subject.number == "many"
    traits = iter(some(rng, lists["traits"], template.traits))
    singular_verb, plural_verb = group.verbs[int(rng.random() * len(group.verbs))]
    words: dict[str, Callable[[], str]] = {
        "s": lambda: with_article(shown) if subject.number == "one" else shown,
        "t": lambda: next(traits),
        "verb": lambda: plural_verb if plural else singular_verb,
        "is": lambda: "are" if plural else "is",
        "has": lambda: "have" if plural else "has",
        "place": lambda: pick(rng, lists["places"]),
        "light": lambda: pick(rng, lists["light"]),
        "view": lambda: pick(rng, lists["views"]),
        "does": lambda: pick(rng, lists["does"]),
        "behind": lambda: pick(rng, lists["behind"]),
        "opening": lambda: pick(rng, lists["openings"]),
    }
    text = "".join(words[slot]() if is_slot else slot for is_slot, slot in template.drawn(rng))
    return ". ".join(part[0].upper() + part[1:] for part in text.split(". "))


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence template: pieces of text and slots, some of them optional."""

    pieces: tuple[tuple[tuple[bool, str], ...], ...]
    """Even positions always stand, odd ones stood in brackets."""
    slots: frozenset[str]
    traits: int

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read one line of sentences.txt."""
        pieces = tuple(
            tuple((bool(slot), slot or plain) for slot, plain in re.findall(r"\{(\w+)\}|([^{}]+)", part))
            for part in re.split(r"[\[\]]", text)
        )
        slots = [slot for part in pieces for is_slot, slot in part if is_slot]
        return cls(pieces, frozenset(slots), slots.count("t"))

    def fits(self, group: Group) -> bool:
        """Has the group words for every slot?"""
        return all(group.lists[slot] for slot in ("does", "behind") if slot in self.slots)

    def drawn(self, rng: Random) -> list[tuple[bool, str]]:
        """The pieces of one sentence; each optional part stands in half of them."""
        return [
            piece for index, part in enumerate(self.pieces) if index % 2 == 0 or rng.random() < 0.5 for piece in part
        ]


def _shown(group: Group, subject: Subject, rng: Random) -> str:
    if rng.random() < 0.2:
        return subject.text
    return f"{pick(rng, group.lists['looks'])} {subject.text}"


def _bare(phrase: str, rng: Random) -> str:
    """Without its preposition and article, as tags are written; sometimes as it is."""
    if rng.random() < 0.4:
        return _ARTICLE.sub("", phrase)
    return _ARTICLE.sub("", _PREPOSITION.sub("", phrase))
