"""The prompts of the embedded model: `python -m tools.embedded.bank prompts/bank_embedded.jsonl [--count 1200]`.

Captions of scenes that it was not trained on (calibration split), subjects in turn, each text once, none of a
single noun.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np

from genir.promptfile import json_line
from genir.records import Prompt
from tools.embedded.captions import describe
from tools.embedded.render.scenes import SUBJECTS, render
from tools.embedded.splits import first_seed

FIRST = first_seed("calibration") + 50_000


def prompts(count: int) -> list[Prompt]:
    """`count` prompts with distinct texts; a subject that has said everything is left out of its turn."""
    rng = np.random.default_rng(12)
    made: dict[str, Prompt] = {}
    seed = FIRST
    while len(made) < count:
        for subject in SUBJECTS:
            text = describe(render(subject, seed, 16).facts, rng)
            id = hashlib.sha256(text.encode()).hexdigest()[:16]
            if text != subject and text not in made and len(made) < count:
                made[text] = Prompt(text, subject, id, source="tools/embedded/bank.py", licence="CC0-1.0")
        seed += 1
    return list(made.values())


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=1200)
    args = parser.parse_args()
    args.out.write_text("".join(map(json_line, prompts(args.count))))


if __name__ == "__main__":
    main()
