"""One record of a prompt file: checked when it is read, and how it is written."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from genir.errors import PromptError
from genir.records import Prompt

MAX_CHARACTERS = 4000
_TEXTS = ("category", "id", "negative", "source", "licence")
FIELDS = ("prompt", "tags", *_TEXTS)
# Controls, line and paragraph separators, halves of characters: what breaks lists and cannot be written.
_REFUSED = {"Cc", "Zl", "Zp", "Cs"}


def checked(record: Any, where: str) -> Prompt:
    """A checked prompt of one decoded record; `where` names its file and line in messages.

    Raises:
        PromptError: no prompt, a field of another type, a line break or a control character.
    """
    if not isinstance(record, dict):
        raise PromptError(f"{where}: expected an object with a prompt, found {type(record).__name__}")
    text = record.get("prompt")
    if not isinstance(text, str) or not text.strip():
        raise PromptError(f'{where}: no "prompt", or it is empty; every record needs one')
    others = {}
    for name in _TEXTS:
        value = record.get(name)
        if name == "id" and isinstance(value, int):
            value = str(value)
        if value is not None and not isinstance(value, str):
            raise PromptError(f'{where}: "{name}" is {value!r}, expected text')
        others[name] = _line(value, f"{where}: the {name}") if value else ""
    return Prompt(_line(text, f"{where}: the prompt"), tags=_tags(record.get("tags"), where), **others)


def _tags(value: Any, where: str) -> tuple[str, ...]:
    if not value:
        return ()
    values = value.split(";") if isinstance(value, str) else value  # a CSV record has no lists
    if not isinstance(values, list) or not all(isinstance(tag, str) for tag in values):
        raise PromptError(f'{where}: "tags" is {value!r}, expected a list of texts')
    return tuple(_line(tag, f"{where}: a tag") for tag in values)


def json_line(prompt: Prompt) -> str:
    """The record as one line of a .jsonl file; what is empty is left out."""
    record = {
        "id": prompt.id,
        "prompt": prompt.text,
        "negative": prompt.negative,
        "category": prompt.category,
        "tags": prompt.tags,
        "source": prompt.source,
        "licence": prompt.licence,
    }
    return json.dumps({key: value for key, value in record.items() if value}, ensure_ascii=False) + "\n"


def _line(text: str, what: str) -> str:
    """The text as one printable line of a bearable length."""
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        raise PromptError(f"{what} has {len(text)} characters, allowed are {MAX_CHARACTERS}")
    if not text.isprintable():  # quick; but no-break spaces, joiners and new emoji are no harm
        for character in text:
            if unicodedata.category(character) in _REFUSED:
                raise PromptError(f"{what} holds U+{ord(character):04X} (a line break or a tab?); remove it")
    return text
