"""The grammar of the prompt bank: vocabularies and templates as they stand in prompts/grammar/.

A category file holds groups of subjects; the other lists of a group fit every subject of it, which is what keeps the
combinations sensible. A list is comma-separated text; `$name` takes a list of shared.yaml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from genir.errors import PromptError
from genir.resources import locate

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "prompts/grammar"
_REQUIRED = ("subjects", "looks", "traits", "places", "light", "views", "openings", "verbs")
_OPTIONAL = ("does", "behind", "setting")
LEAST_TRAITS = 4  # a tag list may take as many


@dataclass(frozen=True, slots=True)
class Subject:
    """What a prompt shows; `number` decides article and verb."""

    text: str
    number: str
    """"one" (a beagle), "many" (fern fronds) or "mass" (velvet)."""


@dataclass(frozen=True, slots=True)
class Group:
    """Subjects of one kind, and the words that fit each of them."""

    name: str
    subjects: tuple[Subject, ...]
    lists: dict[str, tuple[str, ...]]
    verbs: tuple[tuple[str, str], ...]
    """Singular and plural."""
    setting: str


@dataclass(frozen=True, slots=True)
class Category:
    """The groups of one category."""

    name: str
    negative: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Grammar:
    """All categories by name, the sentence templates, and the words that exclude each other."""

    categories: dict[str, Category]
    sentences: tuple[str, ...]
    clashes: dict[str, frozenset[str]]
    """Word -> words that cannot stand in the same prompt."""


def load() -> Grammar:
    """Read prompts/grammar/ of the working directory, else the one that travels with genir.

    Raises:
        PromptError: a file that is not as prompts/README.md says, by name and place.
    """
    folder = locate(FOLDER)
    shared = {name: _items(text) for name, text in _yaml(folder / "shared.yaml").items()}
    paths = sorted(path for path in folder.glob("*.yaml") if path.name != "shared.yaml")
    categories = [_category(path, shared) for path in paths]
    return Grammar(
        {category.name: category for category in categories},
        tuple(_lines(folder / "sentences.txt")),
        _clashes(_lines(folder / "clashes.txt")),
    )


def _category(path: Path, shared: dict[str, tuple[str, ...]]) -> Category:
    document = _yaml(path)
    if set(document) != {"category", "negative", "groups"}:
        raise PromptError(f"{path}: expected the keys category, negative and groups, found {', '.join(document)}")
    groups = tuple(_group(name, lists, shared, f"{path}: {name}") for name, lists in document["groups"].items())
    return Category(document["category"], document["negative"], groups)


def _group(name: str, texts: dict[str, str], shared: dict[str, tuple[str, ...]], where: str) -> Group:
    wrong = sorted(set(_REQUIRED) - set(texts) | set(texts) - {*_REQUIRED, *_OPTIONAL})
    if wrong:
        raise PromptError(f"{where}: {', '.join(wrong)} missing or unknown; a group has {', '.join(_REQUIRED)}")
    lists = {}
    for key in (*_REQUIRED, "does", "behind"):
        items: list[str] = []
        for item in _items(texts.get(key, "")):
            if item.startswith("$") and item[1:] not in shared:
                raise PromptError(f"{where}: {key} names {item}, which is not in shared.yaml")
            items += shared[item[1:]] if item.startswith("$") else [item]
        lists[key] = tuple(items)
    if len(lists["traits"]) < LEAST_TRAITS:
        raise PromptError(f"{where}: {len(lists['traits'])} traits, at least {LEAST_TRAITS} are needed")
    numbers = {"~": "many", "=": "mass"}
    subjects = tuple(Subject(text.lstrip("~="), numbers.get(text[0], "one")) for text in lists.pop("subjects"))
    verbs = []
    for pair in lists.pop("verbs"):
        singular, slash, plural = pair.partition("/")
        if not slash:
            raise PromptError(f"{where}: the verb {pair!r} needs two forms, as in stands/stand")
        verbs.append((singular, plural))
    return Group(name, subjects, lists, tuple(verbs), texts.get("setting", ""))


def _clashes(lines: list[str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in lines:
        left, _, right = line.partition(" / ")
        for one, other in ((left, right), (right, left)):
            for word in one.split():
                found.setdefault(word, set()).update(other.split())
    return {word: frozenset(others) for word, others in found.items()}


def _items(text: str) -> tuple[str, ...]:
    return tuple(re.split(r",\s+", text.strip())) if text.strip() else ()


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def _yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise PromptError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise PromptError(f"{path}: expected a mapping of names to lists")
    return document
