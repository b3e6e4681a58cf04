"""Pictures of a run for the gallery: half of them kept, the others of each reason alike, evenly spread."""

from __future__ import annotations

import shlex
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from genir import images
from genir.jobs.report import tables
from genir.jobs.report.page import picture
from genir.records import is_in_sight, is_private
from genir.shards.files import ShardFiles
from genir.sheet import Tile, draw_tile
from genir.sources.tars import samples

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from genir.shards.files import Row

SIDE = 256


def choose(rows: Sequence[Row], count: int) -> list[Row]:
    """Up to `count` rows in key order: evenly spread ones of each verdict and reason."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups["" if row["verdict"] == "kept" else row["reason"]].append(row)
    kept = groups.pop("", [])
    chosen = _spread(kept, count if not groups else max(count // 2, count - sum(map(len, groups.values()))))
    left = count - len(chosen)
    for place, reason in enumerate(sorted(groups, key=lambda reason: len(groups[reason]))):
        part = _spread(groups[reason], left // (len(groups) - place))  # what a rare reason leaves is for the others
        chosen += part
        left -= len(part)
    return sorted(chosen, key=lambda row: row["key"])


def _spread(rows: Sequence[Row], count: int) -> list[Row]:
    count = min(count, len(rows))
    return [rows[n * len(rows) // count] for n in range(count)]


def facts(folder: str, root: Path, plan: dict[str, Any], found: tables.Rows, count: int) -> dict[str, Any]:
    """What the script draws: columns, their limits, and a card a picture."""
    scores = [name for name, kind in plan["columns"].items() if kind == "float"]
    cards = []
    for row in choose(found.rows, count):
        pixels, remark = _pixels(root, plan, row)
        tile = Tile(row["key"], row["category"], row["verdict"], row["reason"], pixels, is_in_sight(row["reason"], row))
        cards.append(
            {
                "key": row["key"],
                "prompt": row["prompt"],
                "category": row["category"],
                "verdict": row["verdict"],
                "reason": row["reason"],
                "error": row["error"],
                "seed": str(row["seed"]),  # 63 bits: more than a number of JavaScript holds
                "size": f"{row['width']} x {row['height']}",
                "scores": [row[name] for name in scores],
                "image": None if pixels is None else picture(draw_tile(tile, SIDE)),
                "remark": "blurred: a person may be seen" if pixels is not None and tile.face else remark,
            }
        )
    return {"run": shlex.quote(folder), "scores": scores, "limits": tables.limits(plan), "cards": cards}


def _pixels(root: Path, plan: dict[str, Any], row: Row) -> tuple[Any, str]:
    shard = int(row["key"]) // plan["shard_size"]
    files = ShardFiles.of(root / "image", shard, plan["shards"])
    if row["verdict"] == "error":
        return None, "no picture was made"
    if row["verdict"] == "kept":
        found = next((one.picture for one in samples(files.tar) if one.name == row["key"]), None)
        return (None, "missing in its tar") if found is None else (images.decode(found.read()), "")
    if is_private(row["reason"]):
        return None, "not shown"
    for ending in ("png", "webp"):
        stored = root / "rejects" / files.name / f"{row['key']}.{ending}"
        if stored.exists():
            return images.decode(stored.read_bytes()), ""
    return None, "pixels not stored"
