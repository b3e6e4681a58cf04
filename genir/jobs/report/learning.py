"""The sections about a run of `genir learn`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from PIL import Image

from genir.errors import PlanError
from genir.jobs.report import charts
from genir.jobs.report.page import Page, picture, tiles

if TYPE_CHECKING:
    from pathlib import Path

_NOT_LOSSES = ("step", "gradient", "rate", "seconds")
_POINTS = 300
_GRIDS = 8


def add(page: Page, root: Path) -> None:
    """Losses and the grids of fixed prompts; raises PlanError before the first step."""
    log = root / "log.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")] if log.exists() else []
    if not rows:
        raise PlanError(f"{root}: no step is done yet")
    chosen = (root / "dual.safetensors").exists()
    page.lead(f"A positive and a negative prompt after {rows[-1]['step']:,} steps")
    page.section(
        "Overview",
        tiles(
            {
                "steps": (f"{rows[-1]['step']:,}", "done"),
                "dual prompt": ("chosen" if chosen else "not yet", "dual.safetensors"),
                "checkpoints": (f"{len(list(root.glob('checkpoints/*.safetensors')))}", "checkpoints/"),
            }
        ),
    )
    names = [name for name in rows[-1] if name not in _NOT_LOSSES]
    figures = [charts.lines(name, {name: _means(rows, name)}, "mean of neighbouring steps") for name in names]
    figures += [charts.lines(name, {name: _means(rows, name)}, "") for name in ("gradient", "rate") if name in rows[-1]]
    page.section("Losses", f'<div class="grid">{"".join(figures)}</div>')
    grids = sorted(root.glob("grids/*.png"))
    count = min(len(grids), _GRIDS)
    shown = [grids[(n + 1) * len(grids) // count - 1] for n in range(count)]
    if shown:
        figures = [
            f'<figure class="large"><figcaption>after {int(path.stem)} steps</figcaption>'
            f'<img loading="lazy" alt="fixed prompts after {int(path.stem)} steps" src="{picture(Image.open(path))}">'
            "</figure>"
            for path in shown
        ]
        page.section("Fixed prompts", *figures, note="The same prompts and noise, and the prompt pair as it was then.")


def _means(rows: list[dict[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """(step, mean) of up to 300 stretches; null losses are left out."""
    there = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    stretch = -(-len(there) // _POINTS) or 1
    parts = [there[n : n + stretch] for n in range(0, len(there), stretch)]
    return [float(part[-1][0]) for part in parts], [sum(value for _, value in part) / len(part) for part in parts]
