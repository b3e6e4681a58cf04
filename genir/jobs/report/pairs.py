"""The sections about a run of `genir degrade`: pairs under a slider, and what was drawn."""

from __future__ import annotations

import json
from collections import Counter
from html import escape
from typing import TYPE_CHECKING

from PIL import Image

from genir import images
from genir.errors import PlanError
from genir.jobs.report import gallery, tables
from genir.jobs.report.page import Page, bars, percent, picture, tiles
from genir.runs.summary import human_bytes, read_plan, summarise
from genir.shards.files import ShardFiles
from genir.sources.tars import samples

if TYPE_CHECKING:
    from pathlib import Path

    from genir.shards.files import Row

_PAIRS = 24
_HQ = {"hq": "HQ", "hq_usm": "the sharpened HQ"}
_SIDE = 384


def add(page: Page, root: Path, count: int) -> None:
    """Overview, degradations, pairs; raises PlanError when nothing is finished."""
    plan, summary = read_plan(root), summarise(root)
    if not summary.done:
        raise PlanError(f"{root}: nothing is finished yet")
    found = tables.read(root / "lq", plan)
    kept = [row for row in found.rows if row["verdict"] == "kept"]
    synthetic = sum(bool(row["synthetic"]) for row in kept)
    pairs = summary.kept * plan["meaning"].get("epochs", 1)
    page.lead(f"{pairs:,} HQ-LQ pairs, {percent(synthetic, len(kept))} of them of synthetic images")
    page.section(
        "Overview",
        tiles(
            {
                "pairs": (f"{pairs:,}", f"of {percent(summary.kept, summary.done)} of the pictures"),
                "files": (human_bytes(summary.image_bytes), f"in {summary.shards_done:,} shards"),
            }
        ),
        bars([(name, number, "rejected") for name, number in summary.reasons.most_common()], summary.done),
    )
    uses = Counter(name for row in kept for name in {_name(step) for step in json.loads(row["steps"])})
    page.section(
        "Degradations",
        bars([(name, number, "kept") for name, number in uses.most_common()], len(kept)),
        note="; ".join(part for part in ("pairs that have the step at least once", found.note) if part),
    )
    stored = next((name for name, told in _HQ.items() if plan["meaning"]["store"][name]), None)
    if stored is None:
        page.section("Pairs", note="Not shown: they are stored without their HQ (store.hq).")
        return
    sliders = [
        slider(page_row["key"], lq, hq, _describe(page_row))
        for page_row in gallery.choose(kept, min(_PAIRS, count))
        for lq, hq in [_pictures(root, plan["shards"], plan["shard_size"], stored, page_row)]
    ]
    note = f"Left of the line LQ, right of it {_HQ[stored]}."
    page.section("Pairs", f'<div class="grid">{"".join(sliders)}</div>', note=note)


def slider(name: str, left: Image.Image, right: Image.Image, remark: str) -> str:
    """Two pictures of one scene over each other; a range input moves the line between them."""
    right = right.copy()
    right.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    left = left.resize(right.size, Image.Resampling.NEAREST)
    return (
        f'<figure class="pair"><figcaption>{escape(name)}</figcaption><div class="over">'
        f'<img loading="lazy" alt="HQ {escape(name)}" src="{picture(right, 90)}">'
        f'<img loading="lazy" alt="LQ {escape(name)}" src="{picture(left, 90)}"></div>'
        f'<input type="range" min="0" max="100" value="50" aria-label="share of {escape(name)} that shows LQ">'
        f'<p class="note">{escape(remark)}</p></figure>'
    )


def _name(step: dict[str, object]) -> str:
    kernel = f": {step['kernel']}" if "kernel" in step else ""
    return f"{step['op']}{kernel}"


def _describe(row: Row) -> str:
    return ", ".join(_name(step) for step in json.loads(row["steps"]))


def _pictures(root: Path, shards: int, shard_size: int, hq: str, row: Row) -> tuple[Image.Image, Image.Image]:
    files = ShardFiles.of(root / "lq", int(row["key"]) // shard_size, shards)
    names = (row["key"], f"{row['key']}_{row['epoch']}")
    sample = next(one for one in samples(files.tar) if one.name in names)
    decoded = []
    for role in ("lq", hq):
        member = next(file for ending, file in sample.files.items() if ending.startswith(f"{role}."))
        decoded.append(Image.fromarray(images.decode(member.read()).transpose(1, 2, 0)))
    return decoded[0], decoded[1]
