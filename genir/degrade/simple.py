"""One or two plain degradations, strong enough to be seen: blur, noise, JPEG, down and up."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 0.4
"""Probability of a second degradation after a blur or a change of size."""


def degrade(pixels_CHW: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    """(uint8 RGB pixels of the same shape, what was done to them such as "blur+jpeg").

    A pure function of pixels and seed. Strengths lie inside the first stage of Real-ESRGAN's (Wang et al. 2021,
    section 3), at the stronger end: sigma 1.5..3, noise 12..30 of 255, JPEG quality 10..35, factor 2..4.
    """
    rng = np.random.default_rng(seed)
    names = [str(rng.choice(list(_STEPS)))]
    if names[0] in ("blur", "down") and rng.random() < SECOND:
        names.append(str(rng.choice(["noise", "jpeg"])))
    image = Image.fromarray(np.ascontiguousarray(pixels_CHW.transpose(1, 2, 0)))
    for name in names:
        image = _STEPS[name](image, rng)
    return np.asarray(image).transpose(2, 0, 1), "+".join(names)


def _blur(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(1.5, 3.0)))


def _down(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    factor = rng.uniform(2.0, 4.0)
    small = image.resize((round(image.width / factor), round(image.height / factor)), Image.Resampling.BICUBIC)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def _noise(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    channels = 3 if rng.random() < 0.6 else 1  # colour noise, or gray
    grain = rng.normal(0, rng.uniform(12, 30), (image.height, image.width, channels))
    return Image.fromarray((np.asarray(image) + grain).round().clip(0, 255).astype(np.uint8))


def _jpeg(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=int(rng.integers(10, 36)))
    return Image.open(out).convert("RGB")


_STEPS: dict[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "blur": _blur,
    "noise": _noise,
    "jpeg": _jpeg,
    "down": _down,
}
