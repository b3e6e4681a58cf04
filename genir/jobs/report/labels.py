"""The section about labels: a kept image, and beside it what every annotator made of it."""

from __future__ import annotations

import io
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from genir import images
from genir.jobs.report.gallery import choose
from genir.jobs.report.page import Page, picture
from genir.shards.files import Row, ShardFiles
from genir.sources.tars import Sample, samples

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

STAGE = "annotation_"
_IMAGES = 12
_SIDE = 192


def add(page: Page, root: Path, plan: dict[str, Any], rows: Sequence[Row]) -> None:
    """Sheets of up to 12 labelled images, evenly spread; nothing where the run has no labels.

    Images in which a face was seen are left out: a label map of a face shows it too.
    """
    stages = sorted(path.name for path in root.glob(f"{STAGE}*") if path.is_dir())
    if not stages:
        return
    kept = [row for row in rows if row["verdict"] == "kept" and not row.get("face_count")]
    sheets = []
    for row in choose(kept, 4 * _IMAGES):  # labels may cover a part of the run only
        labels = {stage: label for stage in stages if (label := _find(root / stage, plan, row["key"])) is not None}
        image = _find(root / "image", plan, row["key"])
        if labels and image is not None and len(sheets) < _IMAGES:
            shown = {"image": _thumbnail(Image.fromarray(images.decode(image).transpose(1, 2, 0)))}
            shown |= {stage.removeprefix(STAGE): _thumbnail(_drawable(label)) for stage, label in labels.items()}
            sheets.append(_sheet(row, shown))
    if sheets:
        names = ", ".join(stage.removeprefix(STAGE) for stage in stages)
        page.section(
            "Labels", f'<div class="sheets">{"".join(sheets)}</div>', note=f"Kept images beside their labels: {names}."
        )


def _sheet(row: Row, shown: dict[str, Image.Image]) -> str:
    prompt = escape(row["prompt"])
    cells = "".join(
        f'<li><img loading="lazy" alt="{escape(name)} of: {prompt}" src="{picture(image, 90)}">'
        f"<small>{escape(name)}</small></li>"
        for name, image in shown.items()
    )
    return f'<figure class="sheet"><figcaption>{row["key"]}: {prompt}</figcaption><ul>{cells}</ul></figure>'


def _find(stage: Path, plan: dict[str, Any], key: str) -> bytes | None:
    """The picture of a key in a stage."""
    tar = ShardFiles.of(stage, int(key) // plan["shard_size"], plan["shards"]).tar
    sample: Sample | None = next((one for one in samples(tar) if one.name == key), None) if tar.exists() else None
    found = None if sample is None else sample.picture
    return None if found is None else found.read()


def _drawable(label: bytes) -> Image.Image:
    """8 bits a channel; of 16 (depth) the whole range from the smallest to the largest value."""
    image = Image.open(io.BytesIO(label))
    if not image.mode.startswith(("I", "F")):
        return image.convert("RGB")
    values_HW = np.asarray(image, np.float64)
    spread = np.ptp(values_HW) or 1.0
    return Image.fromarray((255 * (values_HW - values_HW.min()) / spread).astype(np.uint8)).convert("RGB")


def _thumbnail(image: Image.Image) -> Image.Image:
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return image
