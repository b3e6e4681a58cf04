"""Small training sets, written on the spot."""

import json

import numpy as np
from PIL import Image, ImageFilter

WORDS = ["a red lake", "the green house", "a photo of a cat", "the stone dog"]


def row(number, role, **more):
    name = f"{role}{number}.png"
    return {
        "file_name": name,
        "text": WORDS[number % 4],
        "pair": str(number),
        "role": role,
        "origin": "photograph",
        **more,
    }


def picture(number, size, blurred):
    noise = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return image.filter(ImageFilter.GaussianBlur(4)) if blurred else image


def write(folder, rows, size=(64, 64)):
    """metadata.jsonl and a picture for every row; `size` or a row's own."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [dict(row) for row in rows]
    for one in rows:
        number = int("".join(filter(str.isdigit, one["file_name"])))
        own = one.pop("size", size)
        picture(number, own, one["role"] == "negative").save(folder / one["file_name"])
    (folder / "metadata.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    return folder


def pairs(folder, count, size=(64, 64)):
    """`count` positives, each with its own negative."""
    return write(folder, [row(n, role) for n in range(count) for role in ("positive", "negative")], size)
