"""Captions of scenes: several templates, and quality words on about a third of them."""

from __future__ import annotations

import re

import numpy as np

from tools.embedded.degrade import WORDS
from tools.embedded.render.canvas import Facts

GOOD = ("sharp", "sharp focus", "high quality", "highly detailed", "crisp")
BAD = ("low quality",)
QUALITY_SHARE = 1 / 3
WRONG_SHARE = 0.15
"""Of the quality words in the noisy mix, this share is drawn without looking at the picture."""


def describe(facts: Facts, rng: np.random.Generator) -> str:
    """What the picture shows, in one of the templates; exact, and silent about quality."""
    details = [d for d in facts.details if rng.random() < 0.7]
    if rng.random() < 0.08:
        return facts.subject
    if len(details) > 1 and rng.random() < 0.5:
        details.reverse()
    way = rng.random()
    opening = "a photo of " if way < 0.4 else "a picture of " if way < 0.55 else ""
    joint = ", " if rng.random() < 0.35 else " "
    return re.sub(r"\ba (?=[aeio])", "an ", joint.join([opening + facts.phrase, *details]))


def quality_word(kind: str, rng: np.random.Generator) -> str:
    """A true word for a clean picture (kind "") or for a degradation."""
    words = WORDS[kind] + BAD if kind else GOOD
    return str(rng.choice(words))


def caption(facts: Facts, kind: str, rng: np.random.Generator, mix: str = "noisy") -> str:
    """A training caption; mix "noisy" is the model's, "oracle" always adds a true quality word."""
    text = describe(facts, rng)
    if mix == "oracle":
        return f"{text}, {quality_word(kind, rng)}"
    if rng.random() >= QUALITY_SHARE:
        return text
    if rng.random() < WRONG_SHARE:
        kind = str(rng.choice(["", *WORDS]))
    return f"{text}, {quality_word(kind, rng)}"


def corpus() -> list[str]:
    """Text to train the tokenizer on: words people put into prompts that scenes do not mention."""
    return [
        "high resolution, best quality, masterpiece, ultra detailed, 4k, 8k, hdr, uhd, dslr",
        "professional photography, clear, clean, fine texture, realistic, natural light, vivid colors",
        "high contrast, in focus, worst quality, bad quality, lowres, blur, noise, grain, compression",
        "jpeg artifacts, oversmoothed, smooth, pixelated, soft, dark, dirty, deformed, ugly, painting",
        "cartoon, sketch, render, overexposed, underexposed, film grain, a photo of a, a picture of the",
        "an image of, with, without, in, on, at, over, under, near, behind, between, of, and, close up",
        "red, green, blue, yellow, orange, purple, pink, white, black, grey, brown, golden, small, large",
        "old, new, one, two, wide, aerial view, landscape, texture, background, morning, evening, night",
        "summer, winter, spring, rain, animal, bird, dog, cat, car, street, road, bridge, river, beach",
        "stone, rock, metal, glass, water, fire, ice, people",
    ]
