"""The screen: does a prompt ask for a person, a name, a brand, a character, contact data, something unsafe, an artist?

Word lists (prompts/screen/) and rules, made to miss little: a wrongly removed prompt costs one prompt of a million.
What it finds on labelled lines is in docs/methods.md; it does not promise that the images show nobody.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genir.promptbank import contact
from genir.resources import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = "prompts/screen"
LISTS = {  # file -> reason, in the order in which reasons are given
    "people": "people",
    "bodies": "people",
    "names": "name",
    "artists": "artist",
    "brands": "brand",
    "characters": "character",
    "contact": "contact",
    "nsfw": "nsfw",
}
REASONS = tuple(dict.fromkeys(LISTS.values()))
_WORD = re.compile(r"[^\W_]+(?:[.'’&-][^\W_]+)*")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
)  # soft hyphens, joiners
_POSSESSIVE = re.compile(r"['’]s?$")
_STOP = re.compile(r"[,;:!?]")
_likenesses = """
    silhouette silhouettes shadow shadows outline profile portrait reflection figure back body
"""
_LIKENESSES = frozenset(_likenesses.split())
_PLURALS = {"child": "children", "foot": "feet", "thief": "thieves", "tooth": "teeth"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a prompt is removed."""

    reason: str
    """One of REASONS."""
    what: str
    """The words, or the rule and what it matched."""


@dataclass(frozen=True, slots=True)
class _Entry:
    words: tuple[str, ...]
    """In small letters, without possessives."""
    exact: bool
    """Written with a capital in the list: matched with it, and not where any word would have one."""
    kind: str


class Screen:
    """The lists, indexed by first word, and the rules; optionally a model, see genir.promptbank.entities."""

    def __init__(self, recogniser: Callable[[str], list[Finding]] | None = None) -> None:
        folder = locate(FOLDER)
        self._by_first: dict[str, list[_Entry]] = {}
        for kind in ("allowed", *LISTS):
            for line in _lines((folder / f"{kind}.txt").read_text(encoding="utf-8")):
                exact = kind != "allowed" and line[0].isupper()
                words = tuple(_plain(word) for word in _WORD.findall(line))
                for form in (words, (*words[:-1], _plural(words[-1]))):
                    self._by_first.setdefault(form[0], []).append(_Entry(form, exact, kind))
        for entries in self._by_first.values():
            entries.sort(key=lambda entry: (entry.kind != "allowed", -len(entry.words)))
        nouns = list(_lines((folder / "living.txt").read_text(encoding="utf-8")))
        self._living = {*nouns, *map(_plural, nouns)}
        self._artists = {
            entry.words[0]
            for entries in self._by_first.values()
            for entry in entries
            if entry.kind == "artists" and len(entry.words) == 1
        }
        names = " ".join(_lines((folder / "firstnames.txt").read_text(encoding="utf-8")))
        self._given_names = frozenset(names.split())
        self._recogniser = recogniser

    def findings(self, text: str) -> list[Finding]:
        """All reasons to remove the prompt, one a kind of reason; empty: keep it."""
        text = text if text.isascii() else _INVISIBLE.sub("", text)
        matches = list(_WORD.finditer(text))
        raw = [match.group() for match in matches]
        words = [_plain(word) for word in raw]
        excused, hits = self._matches(text, matches, raw, words)
        found = list(self._words(text, matches, words, excused, hits))
        found += self._forms(text, " ".join("_" if index in excused else word for index, word in enumerate(raw)))
        if self._recogniser is not None:
            found += self._recogniser(text)
        first: dict[str, Finding] = {}
        for finding in found:
            first.setdefault(finding.reason, finding)
        return sorted(first.values(), key=lambda finding: REASONS.index(finding.reason))

    def _matches(
        self, text: str, matches: list[re.Match[str]], raw: list[str], words: list[str]
    ) -> tuple[set[int], list[tuple[int, _Entry]]]:
        """Positions inside of allowed phrases, and the places of all other entries; no phrase goes over a comma."""
        excused: set[int] = set()
        hits: list[tuple[int, _Entry]] = []
        for index, word in enumerate(words):
            for entry in self._by_first.get(word, ()):
                end = index + len(entry.words)
                if len(entry.words) > 1 and (
                    tuple(words[index:end]) != entry.words
                    or _STOP.search(text, matches[index].end(), matches[end - 1].start())
                ):
                    continue
                if entry.kind == "allowed":
                    excused.update(range(index, end))
                elif not entry.exact or _has_own_capital(text, raw, index):
                    hits.append((index, entry))
        return excused, hits

    def _words(
        self,
        text: str,
        matches: list[re.Match[str]],
        words: list[str],
        excused: set[int],
        hits: list[tuple[int, _Entry]],
    ) -> Iterator[Finding]:
        for index, entry in hits:
            end = index + len(entry.words)
            if excused.issuperset(range(index, end)):
                continue
            is_last = end == len(matches) or text[matches[end - 1].end() : matches[end].start()] != " "
            found = text[matches[index].start() : matches[end - 1].end()]
            if not self._harmless(found, words[index], "" if is_last else matches[end].group(), entry.kind):
                yield Finding(LISTS[entry.kind], found)

    def _harmless(self, found: str, first: str, after: str, kind: str) -> bool:
        """A fisherman's cottage shows no fisherman (but his shadow does), a soldier beetle is no soldier, the foot of a
        glacier no foot, Cook Strait no cook.
        """
        if not after:
            return False
        follower = _plain(after)
        if kind == "people" and _POSSESSIVE.search(found):
            return follower not in _LIKENESSES
        if kind in ("people", "names", "bodies") and follower in self._living:
            return kind != "names" or bool(_POSSESSIVE.search(found))
        if kind == "bodies":
            return follower == "of" and first != "human"
        return kind in ("people", "names", "artists") and found[0].isupper() and after in contact.PLACES

    def _forms(self, text: str, allowed_blank: str) -> Iterator[Finding]:
        if contact.MAY_BE_CONTACT.search(text):
            for what, pattern in contact.RULES.items():
                if match := pattern.search(text):
                    yield Finding("contact", f"{what}: {match.group().strip()}")
        if contact.MAY_BE_STYLE.search(text):
            for pattern in contact.STYLES:
                if match := pattern.search(text):
                    yield Finding("artist", match.group().strip(" ,"))
            for match in contact.LIKE.finditer(text):
                if _plain(match[1]) in self._artists:
                    yield Finding("artist", match.group())
        if contact.MAY_BE_NAME.search(allowed_blank) and (
            name := contact.person_named(allowed_blank, self._given_names)
        ):
            yield Finding("name", name)


def _plain(word: str) -> str:
    """In small letters, without accents and possessives."""
    if not word.isascii():
        word = "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))
    return _POSSESSIVE.sub("", word.lower())


def _plural(word: str) -> str:
    if word in _PLURALS:
        return _PLURALS[word]
    if word.endswith("man"):
        return word[:-2] + "en"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def _has_own_capital(text: str, raw: list[str], index: int) -> bool:
    """Is the word's capital its own, not that of a sentence's beginning?"""
    if not raw[index][0].isupper():
        return False
    position = 0
    for word in raw[:index]:
        position = text.index(word, position) + len(word)
    before = text[: text.index(raw[index], position)].rstrip()
    return bool(before) and before[-1] not in ".!?:"


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
