"""Pictures of folders and tars, or of a run at another size, as the image stage of a run of their own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from genir import images
from genir.jobs.annotate.work import Note, Noted
from genir.records import Columns, Score, Verdict

if TYPE_CHECKING:
    import numpy as np

    from genir.sources.pictures import Picture

LEVEL = 1  # as `genir generate`


class Imported:
    """Work of the stage `image`."""

    def __init__(self, short: int | None, batch: int) -> None:
        self._short, self._batch = short, batch
        self.columns: Columns = {"prompt": "string", "category": "string", "pixels_sha256": "string"}
        self.said: dict[str, Score] = {}

    def meaning(self) -> dict[str, Any]:
        """What makes two runs the same, beside source and cut; `image` and `batch` as of any run."""
        return {"image": {"format": "png", "level": LEVEL}, "resize": self._short}

    def load(self) -> tuple[Note, dict[str, Any]]:
        """Nothing to load."""
        return lambda batch: [self._noted(picture) for picture in batch], {}

    def _noted(self, picture: Picture) -> Noted:
        assert picture.pixels_CHW is not None
        columns: dict[str, Score] = {"prompt": picture.prompt, "category": picture.original.category}
        pixels_CHW = picture.pixels_CHW if self._short is None else reduced(picture.pixels_CHW, self._short)
        if pixels_CHW is None:
            return Noted(picture, Verdict("rejected", "small"), columns=columns)
        columns["pixels_sha256"] = images.pixels_sha256(pixels_CHW)
        return Noted(replace(picture, pixels_CHW=pixels_CHW), Verdict("kept"), pixels_CHW, columns)

    def files(self, noted: Noted) -> dict[str, bytes]:
        """Image, what is known of it, and its text."""
        assert noted.pixels_CHW is not None
        key, synthetic = noted.key, bool(noted.picture.synthetic)
        height, width = noted.pixels_CHW.shape[1:]
        facts = {
            "key": key,
            "source": noted.picture.original.name,
            "prompt": noted.picture.prompt,
            "height": height,
            "width": width,
            "synthetic": synthetic,
        }
        return {
            f"{key}.png": images.encode(noted.pixels_CHW, "png", LEVEL, synthetic),
            f"{key}.json": json.dumps(facts, separators=(",", ":")).encode(),
            f"{key}.txt": noted.picture.prompt.encode(),
        }


def reduced(pixels_CHW: np.ndarray, short: int) -> np.ndarray | None:
    """uint8 RGB pixels with this short side (Lanczos); None for a picture that would have to be enlarged."""
    height, width = pixels_CHW.shape[1:]
    if min(height, width) < short:
        return None
    factor = short / min(height, width)
    return images.fit(pixels_CHW, (round(height * factor), round(width * factor)))
