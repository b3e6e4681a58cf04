"""The sections about a training set of `genir prepare`: its counts, and positives beside their negatives."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from PIL import Image

from genir.errors import PlanError
from genir.jobs.report.page import Page, bars, definitions, plain, tiles
from genir.jobs.report.pairs import slider

if TYPE_CHECKING:
    from pathlib import Path

_PAIRS = 24


def add(page: Page, root: Path, count: int) -> None:
    """Overview and pairs of one origin; raises PlanError before the set is whole."""
    path = root / "train" / "metadata.jsonl"
    if not path.exists():
        raise PlanError(f"{root}: the training set is not whole yet; run `genir prepare` on it again")
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    roles = Counter(row["role"] for row in rows)
    page.lead("A training set of positives and negatives for a dual prompt")
    page.section(
        "Overview",
        tiles({f"{role}s": (f"{number:,}", "pictures") for role, number in roles.items()}),
        bars([(f"{row[0]}, {row[1]}", number, "kept") for row, number in _origins(rows).most_common()], len(rows)),
    )
    summary = root / "summary.json"
    if summary.exists():
        facts = json.loads(summary.read_bytes())
        page.section("Summary", definitions({name: plain(value) for name, value in facts.items()}))
    pairs = _pairs(rows)
    number = min(_PAIRS, count, len(pairs))
    chosen = [pairs[n * len(pairs) // number] for n in range(number)]
    folder = path.parent
    sliders = [
        slider(bad["pair"], _open(folder, bad), _open(folder, good), bad.get("kind", "")) for good, bad in chosen
    ]
    page.section("Pairs", f'<div class="grid">{"".join(sliders)}</div>', note="Left of the line the negative.")


def _origins(rows: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter((row["role"], row["origin"]) for row in rows)


def _pairs(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    positives = {(row["pair"], row["origin"]): row for row in rows if row["role"] == "positive"}
    found = defaultdict(list)
    for row in rows:
        good = positives.get((row["pair"], row["origin"]))
        if row["role"] == "negative" and good is not None:
            found[row["pair"]].append((good, row))
    return [pair for pairs in found.values() for pair in pairs]


def _open(folder: Path, row: dict[str, Any]) -> Image.Image:
    return Image.open(folder / row["file_name"]).convert("RGB")
