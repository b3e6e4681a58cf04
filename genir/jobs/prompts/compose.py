"""`genir prompts compose`: a prompt file from the grammar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genir.errors import PromptError
from genir.jobs.prompts.output import jsonl, refuse_existing, writing
from genir.promptbank import compose as bank
from genir.promptbank import grammar
from genir.promptrecord import json_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genir.config.prompts import Compose


def compose(config: Compose) -> Iterator[str]:
    """Write the file; yields lines for the user.

    Raises:
        PromptError: the file is there already, an unknown category, a vocabulary that is used up.
    """
    out = jsonl(config.out)
    refuse_existing(out)
    words = grammar.load()
    unknown = sorted(set(config.shares) - set(words.categories))
    if unknown:
        raise PromptError(f"shares.{unknown[0]}: no such category; the grammar has {', '.join(words.categories)}")
    counts = bank.quotas(config.count, {name: config.shares.get(name, 1.0) for name in words.categories})
    with writing(out) as file:
        for prompt in bank.compose(words, counts, config.seed, config.sentences):
            file.write(json_line(prompt).encode())
    yield f"{config.count} prompts in {out}"
    yield ", ".join(f"{name} {count}" for name, count in counts.items() if count)
