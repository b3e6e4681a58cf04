"""The labelled lines of the screen, and exact intervals for shares."""

import hashlib
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent


class Line(NamedTuple):
    label: str
    difficulty: str
    text: str
    is_second: bool
    """Of the second list, by another author."""

    @property
    def remove(self):
        return self.label != "keep"

    @property
    def held_out(self):
        """In the half that no rule was made for."""
        return self.is_second and hashlib.sha256(self.text.encode()).digest()[0] % 2 == 1


def lines():
    return [
        Line(*line.split("\t"), is_second)
        for name, is_second in (("screen_labels.tsv", False), ("screen_labels_second.tsv", True))
        for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()[1:]
    ]


def lower_bound(hits, total, confidence=0.95):
    """Clopper and Pearson's one-sided lower bound of a share, by bisection of the binomial tail."""
    from math import comb

    if hits == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        misses = total - hits
        tail = sum(comb(total, k) * (1 - middle) ** k * middle ** (total - k) for k in range(misses + 1))
        low, high = (middle, high) if tail < 1 - confidence else (low, middle)
    return low


def judged(screen, chosen):
    """(recall, its lower bound, precision, removed wrongly, missed)."""
    removed = {line: bool(screen.findings(line.text)) for line in chosen}
    wanted = [line for line in chosen if line.remove]
    found = sum(removed[line] for line in wanted)
    wrong = [line for line in chosen if removed[line] and not line.remove]
    missed = [line for line in wanted if not removed[line]]
    return found / len(wanted), lower_bound(found, len(wanted)), found / (found + len(wrong)), wrong, missed
