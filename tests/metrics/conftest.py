"""Held-out photographs: scikit-image's, which no shipped statistics were fitted on."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from skimage import data


@pytest.fixture(scope="session")
def photographs() -> dict[str, Image.Image]:
    pixels = {
        "chelsea": data.chelsea(),
        "coffee": data.coffee(),
        "astronaut": data.astronaut(),
        "rocket": data.rocket(),
        "motorcycle": data.stereo_motorcycle()[0],
    }
    return {name: Image.fromarray(array) for name, array in pixels.items()}


@pytest.fixture(scope="session")
def crops_288(photographs: dict[str, Image.Image]) -> list[Image.Image]:
    """The middle of each photograph at its own scale."""
    corners = {name: ((p.width - 288) // 2, (p.height - 288) // 2) for name, p in photographs.items()}
    return [photographs[name].crop((x, y, x + 288, y + 288)) for name, (x, y) in corners.items()]


@pytest.fixture(scope="session")
def crops_128(photographs: dict[str, Image.Image]) -> list[Image.Image]:
    """128 px crops of the photographs scaled down to short sides of 128 and 256 pixels."""
    crops = []
    for picture in photographs.values():
        for short in (128, 256):
            factor = short / min(picture.size)
            size = (max(short, round(picture.width * factor)), max(short, round(picture.height * factor)))
            small = picture.resize(size, Image.Resampling.LANCZOS)
            corners = [(x, y) for y in range(0, size[1] - 127, 128) for x in range(0, size[0] - 127, 128)]
            crops += [small.crop((x, y, x + 128, y + 128)) for x, y in corners]
    return crops


@pytest.fixture(scope="session")
def constants_NCHW() -> torch.Tensor:
    """Black, white, gray, pure red, and checkerboards of 1 and 8 pixels: what breaks a quotient."""
    side = 128
    flat = [torch.full((3, side, side), value, dtype=torch.uint8) for value in (0, 255, 128)]
    red = torch.zeros(3, side, side, dtype=torch.uint8)
    red[0] = 255
    index = torch.arange(side)
    boards = [((index[:, None] // cell + index[None] // cell) % 2 * 255).to(torch.uint8) for cell in (1, 8)]
    return torch.stack([*flat, red, *(board.expand(3, side, side) for board in boards)])
