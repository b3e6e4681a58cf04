"""The end of `genir prepare`: the training set's table, the leak test, a summary and a contact sheet.

All of it is a function of the finished shards, so that whoever finds nothing left may write it, twice if need be.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

from genir import images, storage
from genir.errors import TrainSetError
from genir.jobs.prepare.packing import SET
from genir.shards import reader
from genir.sheet import Tile, contact_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from genir.runs.run import Run

METADATA = "metadata.jsonl"
LEAK_PAIRS = 500
SHEET_ROWS, SHEET_SIDE = 8, 192


def finish(run: Run, limit: int | None) -> list[str]:
    """Write what is missing or of a smaller limit; returns lines for the user."""
    rows = [row for shard in range(run.plan.shards_within(limit)) for row in reader.rows(run.shard(shard))]
    pictures = [picture for row in rows for picture in json.loads(row["pictures"])]
    kept = [picture for picture in pictures if not picture["dropped"]]
    if not kept:
        reasons = ", ".join(
            f"{count} {reason}" for reason, count in Counter(row["reason"] for row in rows).most_common()
        )
        raise TrainSetError(
            f"{run.root}: none of {len(rows)} photographs is kept ({reasons}); take larger or other ones, or a smaller "
            "size, in a new run=..."
        )
    lines = ({name: value for name, value in picture.items() if name != "dropped"} for picture in kept)
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    path, summary_path = run.root / SET / METADATA, run.root / "summary.json"
    with storage.explained(path):
        if not (summary_path.exists() and path.exists() and path.read_bytes() == content):
            summary = _summary(run, rows, pictures, kept)
            storage.write(run.root / "preview.png", _sheet(run, rows))
            storage.write(summary_path, (json.dumps(summary, indent=1) + "\n").encode())
            storage.write(path, content)  # last: a set with this file is whole
    return list(_told(run, json.loads(summary_path.read_bytes())))


def _summary(
    run: Run, rows: list[dict[str, Any]], pictures: list[dict[str, Any]], kept: list[dict[str, Any]]
) -> dict[str, Any]:
    counts = Counter(f"{picture['role']} {picture['origin']}" for picture in kept)
    positives = {(picture["pair"], picture["origin"]) for picture in kept if picture["role"] == "positive"}
    negatives = [picture for picture in kept if picture["role"] == "negative"]
    usable = [picture for picture in negatives if (picture["pair"], picture["origin"]) in positives]
    tried = Counter(picture["origin"] for picture in pictures if picture["role"] == "negative")
    ties = Counter(picture["origin"] for picture in pictures if picture["dropped"] == "tie")
    return {
        "photographs": len(rows),
        "photographs_kept": sum(row["verdict"] == "kept" for row in rows),
        "reasons": dict(Counter(row["reason"] for row in rows if row["reason"]).most_common()),
        "pictures": dict(sorted(counts.items())),
        "pairs": dict(sorted(Counter(picture["origin"] for picture in usable).items())),
        "ties": {origin: {"dropped": ties[origin], "of": count} for origin, count in sorted(tried.items())},
        "prompts_truncated": sum(picture["prompt_truncated"] for picture in kept),
        "leak": {origin: _leak(run, kept, origin) for origin in ("roundtrip", "sdedit")},
    }


def _leak(run: Run, kept: list[dict[str, Any]], origin: str) -> dict[str, Any]:
    """How well positives of this origin are told from the photographs that they were made of."""
    import torch

    from genir.metrics.leak import leak_auc

    names: dict[str, dict[str, str]] = {}
    for picture in kept:
        if picture["role"] == "positive":
            names.setdefault(picture["pair"], {})[picture["origin"]] = picture["file_name"]

    def read(name: str) -> Tensor:
        return torch.from_numpy(images.decode((run.root / SET / name).read_bytes()).copy())

    found = ((own["photograph"], own[origin]) for own in names.values() if {"photograph", origin} <= own.keys())
    auc, count = leak_auc((read(first), read(second)) for first, second in islice(found, LEAK_PAIRS))
    return {"auc": None if auc is None else round(auc, 4), "photographs": count}


def _told(run: Run, summary: dict[str, Any]) -> Iterator[str]:
    counts = ", ".join(f"{count} {name}" for name, count in summary["pictures"].items())
    yield f"pictures   {counts or 'none'}"
    pairs = ", ".join(f"{count} {origin}" for origin, count in summary["pairs"].items())
    yield f"pairs      {pairs or 'none'} (a positive and a negative of one origin)"
    ties = ", ".join(f"{tie['dropped']} of {tie['of']} {origin}" for origin, tie in summary["ties"].items())
    yield f"ties       dropped, not worse than their positive: {ties or 'none'}"
    for origin, leak in summary["leak"].items():
        if leak["auc"] is None:
            yield f"leak test  {origin}: not done with {leak['photographs']} photographs, too few"
            continue
        yield (
            f"leak test  {origin} against photograph: AUC {leak['auc']:.3f} on {leak['photographs']} photographs "
            "(0.5: cannot be told apart, 1: always); what mixes origins learns this instead of quality"
        )
    yield f"set        {run.root / SET} (metadata.jsonl beside its pictures), the first ones on {run.root}/preview.png"


def _sheet(run: Run, rows: list[dict[str, Any]]) -> bytes:
    """The first photographs, one a row, with everything made of them."""
    shown = [json.loads(row["pictures"]) for row in rows if row["verdict"] == "kept"][:SHEET_ROWS]
    tiles: list[Tile] = []
    for picture in (picture for pictures in shown for picture in pictures):
        name, label = run.root / SET / picture["file_name"], f"{picture['origin']} {picture['kind']}"
        pixels_CHW = None if picture["dropped"] else images.decode(name.read_bytes())
        verdict = "rejected" if picture["dropped"] else "kept"
        tiles.append(Tile(picture["pair"], label, verdict, picture["dropped"], pixels_CHW))
    return contact_sheet(tiles, max((len(pictures) for pictures in shown), default=1), SHEET_SIDE)
