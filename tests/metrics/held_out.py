"""The degradations that every score is checked on; docs/methods.md says what they do to larger sets."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image, ImageFilter

STRONG = {"blur": 2.0, "noise": 20.0, "jpeg": 15, "x4": 4}


def to_NCHW(pictures: list[Image.Image]) -> torch.Tensor:
    return torch.stack([torch.from_numpy(np.asarray(p.convert("RGB")).copy()).permute(2, 0, 1) for p in pictures])


def degrade(picture: Image.Image, kind: str, amount: float) -> Image.Image:
    width, height = picture.size
    if kind == "blur":
        return picture.filter(ImageFilter.GaussianBlur(amount))
    if kind == "noise":
        pixels = np.asarray(picture)
        noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0)).numpy() * amount
        return Image.fromarray((pixels + noise).round().clip(0, 255).astype(np.uint8))
    if kind == "jpeg":
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=int(amount))
        return Image.open(buffer).convert("RGB")
    small = picture.resize((int(width // amount), int(height // amount)), Image.Resampling.BICUBIC)
    return small.resize((width, height), Image.Resampling.BICUBIC)
