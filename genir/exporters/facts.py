"""What an export says of a picture beside its pixels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from genir.exporters.entry import Entry


def told(entry: Entry) -> dict[str, Any]:
    """Of every entry: short and the same in all formats."""
    stored = entry.stored
    facts: dict[str, Any] = {
        "text": stored.caption,
        "key": stored.key,
        "synthetic": stored.synthetic,
        "height": entry.height,
        "width": entry.width,
    }
    if entry.factor != 1:
        facts["reduced_by"] = entry.factor
    if entry.corner is not None:
        facts["tile_top"], facts["tile_left"] = entry.corner
    return facts


def all_known(entry: Entry, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The run's own JSON of the sample, and over it what holds of the entry."""
    return {**(json.loads(files["json"]) if "json" in files else {}), **told(entry)}
