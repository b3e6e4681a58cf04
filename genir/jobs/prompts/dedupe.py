"""`genir prompts dedupe`: take out exact and near-duplicates."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from genir.errors import ExtraError
from genir.jobs.prompts.output import jsonl, prompt_files, refuse_existing, removed_beside, writing
from genir.promptrecord import json_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def dedupe(names: Sequence[str], out_name: str, threshold: float) -> Iterator[str]:
    """Write what stays to `out_name` and the duplicates beside it; yields lines for the user.

    Raises:
        PromptError: an unusable record, or an output file that is there already.
        ExtraError: rensa is not installed.
    """
    try:
        from genir.promptbank.dedupe import dedupe as fates
    except ImportError:
        raise ExtraError("near-duplicates are found by rensa: pip install 'genir[prompts]'") from None
    out = jsonl(out_name)
    removed = removed_beside(out)
    refuse_existing(out, removed)
    prompts, counts = prompt_files(names), Counter[str]()
    with writing(out) as file, writing(removed) as rest:
        for prompt, fate in fates(prompts.read(0, prompts.count), threshold):
            counts[fate] += 1
            if fate == "kept":
                file.write(json_line(prompt).encode())
            else:
                record = {"prompt": prompt.text, "id": prompt.id, "category": prompt.category, "reason": fate}
                rest.write((json.dumps(record, ensure_ascii=False) + "\n").encode())
    yield f"{counts['kept']} of {prompts.count} prompts kept in {out} ({counts['kept'] / prompts.count:.2%})"
    yield f"{counts['exact']} exact and {counts['near']} near-duplicates in {removed}"
