"""Labelled pictures that scikit-image ships, in strata: with a face, and without people."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from skimage import data

from genir import embedded

Stratum = tuple[str, bool, list[torch.Tensor]]
"""Name, is there a face in each, uint8 RGB (3, H, W)."""

FACE = (175, 30, 275, 205)  # of the astronaut: hair to chin, 100 px
WITHOUT = ("chelsea", "coffee", "rocket", "brick", "grass", "gravel", "hubble_deep_field", "retina", "coins", "moon")


def strata(sizes: tuple[int, ...] = (48, 64, 96, 128), crops: int = 100) -> Iterator[Stratum]:
    """Faces of lfw_subset and its crops without, enlarged; the astronaut turned, small, cut; pictures without people.

    lfw_subset has 100 of each at 25 px; `crops` takes the first ones.
    """
    lfw_NHW = torch.from_numpy(data.lfw_subset()).float()[:, None] * 255
    for side in sizes:
        enlarged = F.interpolate(lfw_NHW, (side, side), mode="bicubic").clamp(0, 255).byte().expand(-1, 3, -1, -1)
        yield f"lfw_subset faces, {side} px", True, list(enlarged[:crops])
        yield f"lfw_subset without, {side} px", False, list(enlarged[100 : 100 + crops])
    astronaut = Image.fromarray(data.astronaut())
    for side in (512, 256, 128):
        small = astronaut.resize((side, side), Image.Resampling.LANCZOS)
        turned = [_CHW(small.rotate(angle)) for angle in range(0, 360, 45)]
        yield f"astronaut {side} px (face {side * 88 // 512} px), turned by 0..315", True, turned
    yield "astronaut, 96 to 48 px, upright", True, [_CHW(astronaut.resize((s, s))) for s in (96, 80, 64, 56, 48)]
    left, top, right, bottom = FACE
    cuts = [(left + 50, 0, 400, 300), (100, 0, right - 35, 300), (100, top + 75, 400, 300), (100, 0, 400, bottom - 60)]
    yield "astronaut, part of the face cut off", True, [_CHW(astronaut.crop(cut)) for cut in cuts]
    yield "scikit-image, no people", False, [_CHW(Image.fromarray(getattr(data, name)())) for name in WITHOUT]
    paths = sorted((embedded.hq_folder() / "images").glob("*.webp"))
    yield "HQ set of the embedded model", False, [_CHW(Image.open(path)) for path in paths]


def _CHW(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(picture.convert("RGB")).copy()).permute(2, 0, 1)
