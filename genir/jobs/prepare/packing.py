"""What became of a photograph -> a table row and PNG files of a training set (runs on the saver's thread)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genir import images, storage

if TYPE_CHECKING:
    from pathlib import Path

    from genir.pairs import Picture, Prepared
    from genir.records import Columns
    from genir.runs.saver import Files

SET = "train"
"""Folder of the training set in a run directory: Hugging Face's imagefolder layout."""
LEVEL = 1  # of zlib

COLUMNS: Columns = {
    "key": "string",
    "source": "string",
    "caption": "string",
    "height": "int",
    "width": "int",
    "source_height": "int",
    "source_width": "int",
    "verdict": "string",
    "reason": "string",
    "error": "string",
    "face_score": "float",
    "face_count": "int",
    "face_area": "float",
    "batch_executed": "int",
    "positives": "int",
    "negatives": "int",
    "ties": "int",
    "pictures": "string",
}
"""Of the table; `pictures` is a JSON list of the rows of metadata.jsonl, dropped ones included."""


@dataclass(frozen=True)
class Packing:
    """How prepared photographs become files."""

    root: Path
    metric: str

    def __call__(self, shard: str, one: Prepared) -> Files:
        """Write the pictures that are part of the set, before their row is journalled; nothing goes into a tar."""
        folder = self.root / SET / shard
        with storage.explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            return self._row(one, shard), {}

    def _row(self, one: Prepared, shard: str) -> dict[str, Any]:
        verdict = one.verdict
        assert verdict is not None, "a photograph is saved after it was judged"
        rows: list[dict[str, Any]] = []
        counts: Counter[str] = Counter()
        for picture in one.pictures:
            number = counts[f"{picture.role} {picture.origin}"]
            counts[f"{picture.role} {picture.origin}"] += 1
            suffix = f"_bad{number}" if picture.role == "negative" else ""
            name = f"{shard}/{one.photograph.key}_{picture.origin}{suffix}.png"
            rows.append(self._picture_row(one, picture, name))
            if not picture.dropped:
                synthetic = picture.origin != "photograph"
                storage.write(self.root / SET / name, images.encode(picture.pixels_CHW, "png", LEVEL, synthetic))
        kept = Counter(row["role"] for row in rows if not row["dropped"])
        return {
            "key": one.photograph.key,
            "source": one.photograph.name,
            "caption": one.caption,
            "height": one.photograph.height,
            "width": one.photograph.width,
            "source_height": one.source_HW[0],
            "source_width": one.source_HW[1],
            "verdict": verdict.verdict,
            "reason": verdict.reason,
            "error": one.error,
            **one.scores,
            "batch_executed": one.batch_executed,
            "positives": kept["positive"],
            "negatives": kept["negative"],
            "ties": sum(row["dropped"] == "tie" for row in rows),
            "pictures": json.dumps(rows, ensure_ascii=False, separators=(",", ":")),
        }

    def _picture_row(self, one: Prepared, picture: Picture, name: str) -> dict[str, Any]:
        return {
            "file_name": name,
            "text": one.caption,
            "pair": one.photograph.key,
            "role": picture.role,
            "origin": picture.origin,
            "kind": picture.kind,
            "width": one.photograph.width,
            "height": one.photograph.height,
            "source": one.photograph.name,
            "source_width": one.source_HW[1],
            "source_height": one.source_HW[0],
            "seed": picture.seed,
            self.metric: picture.scores.get(self.metric),
            "psnr": picture.scores.get("psnr"),
            "prompt_truncated": picture.truncated,
            "synthetic": picture.origin != "photograph",
            "pixels_sha256": images.pixels_sha256(picture.pixels_CHW),
            "dropped": picture.dropped,
        }
