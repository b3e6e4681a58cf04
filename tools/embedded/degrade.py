"""The degradations that the model learns beside clean pictures; each survives the autoencoder."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

WORDS = {
    "blur": ("blurry", "out of focus", "unsharp"),
    "down": ("low resolution", "pixelated", "blurry"),
    "noise": ("noisy", "grainy"),
    "jpeg": ("jpeg artifacts", "compressed"),
}
"""What a caption may call each degradation."""


def _blur(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(1.4, 3.6))))


def _down(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    factor = rng.uniform(3.0, 6.0)
    side = max(int(image.width / factor), 8)
    small = image.resize((side, side), Image.Resampling.BOX)
    way = Image.Resampling.BICUBIC if rng.random() < 0.7 else Image.Resampling.NEAREST
    return small.resize(image.size, way)


def _noise(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    channels = 3 if rng.random() < 0.7 else 1
    size = image.width // int(rng.integers(1, 3))
    grain = rng.normal(0, rng.uniform(18, 45), (size, size, channels)).astype(np.float32)
    grain = np.broadcast_to(grain.repeat(image.width // size, 0).repeat(image.width // size, 1), pixels.shape)
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def _jpeg(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(4, 12)))
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


_STEPS = {"blur": _blur, "down": _down, "noise": _noise, "jpeg": _jpeg}


def degrade(pixels_HWC: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Degrade a uint8 picture; returns it and the name of the (last) degradation.

    One degradation, or in a quarter of the cases a blur or down-scaling followed by noise or JPEG.
    """
    first = str(rng.choice(["blur", "down", "noise", "jpeg"], p=[0.32, 0.26, 0.2, 0.22]))
    names = [first]
    if first in ("blur", "down") and rng.random() < 0.4:
        names.append(str(rng.choice(["noise", "jpeg"])))
    image = Image.fromarray(pixels_HWC)
    for name in names:
        image = _STEPS[name](image, rng)
    return np.array(image), names[0]
