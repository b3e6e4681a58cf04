"""A pair -> a table row and tar members (runs on the saver's threads)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from genir import images
from genir.degrade.degrader import enlarged, sharpened

if TYPE_CHECKING:
    from genir.config.degradation import Degradation
    from genir.config.degrade import Store
    from genir.degrade import Pair
    from genir.jobs.degrade.made import Made
    from genir.records import Columns
    from genir.runs.saver import Files

COLUMNS: Columns = {
    "key": "string",
    "epoch": "int",
    "source": "string",
    "prompt": "string",
    "verdict": "string",
    "reason": "string",
    "error": "string",
    "top": "int",
    "left": "int",
    "height": "int",
    "width": "int",
    "crop_top": "int",
    "crop_left": "int",
    "crop_height": "int",
    "crop_width": "int",
    "lq_height": "int",
    "lq_width": "int",
    "steps": "string",
    "hq_sha256": "string",
    "lq_sha256": "string",
    "synthetic": "bool",
}


@dataclass(frozen=True)
class Packing:
    """How pairs become files."""

    preset: str
    degradation: Degradation
    seed: int
    epochs: int
    store: Store
    image_format: images.Format
    level: int

    def __call__(self, shard: str, made: Made) -> Files:
        """The row, and for a pair its pictures, its row as JSON and its text."""
        original, verdict = made.original, made.verdict
        assert verdict is not None
        row: dict[str, Any] = {
            "key": original.key,
            "epoch": made.epoch,
            "source": original.name,
            "prompt": original.text,
            "verdict": verdict.verdict,
            "reason": verdict.reason,
            "error": made.error,
            "synthetic": made.synthetic,
        }
        if made.pair is None:
            return row, {}
        steps = made.pair.recipe.steps
        row |= {**_facts(made.pair), "steps": json.dumps(steps, separators=(",", ":"))}
        name = original.key if self.epochs == 1 else f"{original.key}_{made.epoch}"
        return row, self._members(name, made, {**row, "steps": steps})

    def _members(self, name: str, made: Made, row: dict[str, Any]) -> dict[str, bytes]:
        pair = made.pair
        assert pair is not None
        pictures = {"lq": pair.lq_CHW}
        if self.store.hq:
            pictures["hq"] = pair.hq_CHW
        if self.store.hq_usm:
            pictures["hq_usm"] = sharpened(self.degradation, pair.hq_CHW)
        if self.store.sr_bicubic:
            pictures["sr_bicubic"] = enlarged(pair.lq_CHW, self.degradation.scale)
        encode = partial(
            images.encode, image_format=self.image_format, level=self.level, synthetic=bool(made.synthetic)
        )
        known = {key: value for key, value in row.items() if value not in (None, "")}
        facts = {
            **known,
            "degradation": self.preset,
            "degradation_sha256": self.degradation.sha256,
            "scale": self.degradation.scale,
            "seed": self.seed,
        }
        return {
            **{f"{name}.{kind}.{self.image_format}": encode(pixels_CHW) for kind, pixels_CHW in pictures.items()},
            f"{name}.json": json.dumps(facts, separators=(",", ":")).encode(),
            f"{name}.txt": made.original.text.encode(),
        }


def _facts(pair: Pair) -> dict[str, Any]:
    crop, patch = pair.recipe.crop, pair.recipe.patch
    return {
        "top": patch.top,
        "left": patch.left,
        "height": patch.height,
        "width": patch.width,
        "crop_top": crop.top,
        "crop_left": crop.left,
        "crop_height": crop.height,
        "crop_width": crop.width,
        "lq_height": pair.lq_CHW.shape[1],
        "lq_width": pair.lq_CHW.shape[2],
        "hq_sha256": images.pixels_sha256(pair.hq_CHW),
        "lq_sha256": images.pixels_sha256(pair.lq_CHW),
    }
