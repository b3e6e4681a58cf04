"""Labels that are there already: `FOLDER/annotation_<domain>/<name of the picture>.png`, taken as they are.

So come the exact labels of rendered scenes (`python -m tools.embedded.render.labelled`), and labels that were made
with other software.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from genir.annotators.label import Predict, View
from genir.errors import ImageError


def stored(domain: str, folder: Path) -> Predict:
    """Finished labels of a domain, uint8 (1, H, W) or (3, H, W)."""
    labels = folder / f"annotation_{domain}"

    def predict(views: Sequence[View]) -> list[np.ndarray]:
        return [_read(labels, view.name) for view in views]

    return predict


def _read(labels: Path, name: str) -> np.ndarray:
    path = labels / PurePosixPath(name).with_suffix(".png")
    if labels.resolve() not in path.resolve().parents:
        raise ImageError(f"{path}: lies outside of {labels}")
    if not path.exists():  # in a domain where a picture may have none
        return np.zeros((0, 0, 0), np.uint8)
    with Image.open(path) as image:
        gray = image.mode in ("L", "1")
        pixels = np.asarray(image.convert("L" if gray else "RGB"))
    return pixels[None] if gray else pixels.transpose(2, 0, 1)
