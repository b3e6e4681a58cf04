"""`genir prompts screen`: take out prompts that ask for people, names, brands and the like, each with its reason."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from genir.jobs.prompts.output import jsonl, prompt_files, refuse_existing, removed_beside, writing
from genir.promptbank.screen import Screen
from genir.promptrecord import json_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LATIN = re.compile(r"[A-Za-z]{2}")


def screen(names: Sequence[str], out_name: str, entity_model: str | None) -> Iterator[str]:
    """Write what stays to `out_name` and the rest, with reasons, beside it; yields lines for the user.

    Raises:
        PromptError: an unusable record, or an output file that is there already.
        ModelError: the entity model cannot be used.
    """
    out = jsonl(out_name)
    removed = removed_beside(out)
    refuse_existing(out, removed)
    prompts = prompt_files(names)
    recognise = None
    if entity_model is not None:
        from genir.promptbank.entities import recogniser

        recognise = recogniser(entity_model)
    judge, reasons, kept, foreign = Screen(recognise), Counter[str](), 0, 0
    with writing(out) as file, writing(removed) as rest:
        for prompt in prompts.read(0, prompts.count):
            findings = judge.findings(prompt.text)
            if not findings:
                file.write(json_line(prompt).encode())
                kept += 1
                foreign += not _LATIN.search(prompt.text)
                continue
            reasons[findings[0].reason] += 1
            record: dict[str, Any] = {"prompt": prompt.text, "id": prompt.id, "category": prompt.category}
            record["findings"] = [{"reason": finding.reason, "what": finding.what} for finding in findings]
            rest.write((json.dumps(record, ensure_ascii=False) + "\n").encode())
    yield f"{kept} of {prompts.count} prompts kept in {out}"
    if foreign:
        yield f"{foreign} of them have no word in Latin letters: nothing was looked for there, the screen reads English"
    if reasons:
        yield f"{reasons.total()} removed, with their reasons, in {removed}: " + ", ".join(
            f"{reason} {count}" for reason, count in reasons.most_common()
        )
