"""The second pass: what it starts from, whose noise it has, and what it does not depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from genir import seeds as noise_seeds
from genir.backbone import hires
from genir.backbone.guidance import Guidance, Start
from genir.backbone.model import Backbone
from genir.backbone.sdxl import Micro
from genir.images import resized

CALL: dict[str, Any] = {"steps": 3, "guidance": Guidance(3.0), "micro": Micro()}


def twice(size: tuple[int, int]) -> tuple[int, int]:
    return 2 * size[0], 2 * size[1]


def wanted(upscaler: hires.Upscaler = "lanczos", tile: int | None = None) -> hires.Hires:
    return hires.Hires(twice, upscaler, 0.5, 4, tile)


def sides(backbone: Backbone, texts: list[str]) -> tuple[Any, Any, Any]:
    count = len(texts)
    return backbone.encode_positive(texts), backbone.encode_negative("dirty", count), backbone.encode_empty(count)


def made(backbone: Backbone, how: hires.Hires, texts: list[str], seeds: list[int]) -> torch.Tensor:
    pixels, broken = hires.generate(
        backbone, how, *sides(backbone, texts), size_HW=(32, 48), seeds=seeds, should_stop=lambda: False, **CALL
    )
    assert broken == [False] * len(texts)
    return pixels


@pytest.mark.parametrize("upscaler", ["lanczos", "bicubic", "latent"])
def test_it_is_sdedit_of_the_enlarged_first_pass(sdxl: Backbone, upscaler: hires.Upscaler) -> None:
    told = sides(sdxl, ["a cat"])
    first = sdxl.sample_latents(told[0], told[1], empty=told[2], size_HW=(32, 48), seeds=[5], **CALL)
    if upscaler == "latent":
        large = torch.nn.functional.interpolate(first, scale_factor=2, mode="bicubic")
    else:
        small = sdxl.decode_latents(first)[0][0].numpy()
        pixels = torch.from_numpy(resized(small, (64, 96), upscaler))[None]
        large = sdxl.encode_images(pixels, [noise_seeds.derive(5, "", "hires encoder")])
    expected, _ = sdxl.generate(
        told[0],
        told[1],
        empty=told[2],
        size_HW=(64, 96),
        seeds=[noise_seeds.derive(5, "", "hires noise")],
        start=Start(large, 0.5),
        **{**CALL, "steps": 4},
    )
    assert torch.equal(made(sdxl, wanted(upscaler), ["a cat"], [5]), expected)


@pytest.mark.parametrize("tile", [None, 48])
def test_an_image_depends_on_its_own_seed_and_not_on_the_batch(sd: Backbone, tile: int | None) -> None:
    both = made(sd, wanted(tile=tile), ["a cat", "a dog"], [5, 6]).int()
    alone = [made(sd, wanted(tile=tile), [text], [seed]).int() for text, seed in (("a cat", 5), ("a dog", 6))]
    assert (both - torch.cat(alone)).abs().max() <= 1  # the last bits of a sum may depend on the batch
    assert (both[1:] - made(sd, wanted(tile=tile), ["a dog"], [7]).int()).abs().max() > 8


def test_what_the_first_pass_lost_is_told(sd: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Black pixels are a fine picture for the second pass: it must not hide that they were NaN."""
    whole = Backbone.decode_latents
    calls: list[int] = []

    def losing(self: Backbone, rows: torch.Tensor) -> tuple[torch.Tensor, list[bool]]:
        calls.append(len(rows))
        if len(calls) == 1:
            rows = rows.clone()
            rows[1] = torch.nan
        return whole(self, rows)

    monkeypatch.setattr(Backbone, "decode_latents", losing)
    _, broken = hires.generate(
        sd,
        wanted(),
        *sides(sd, ["a cat", "a dog"]),
        size_HW=(32, 48),
        seeds=[5, 6],
        should_stop=lambda: False,
        **CALL,
    )
    assert broken == [False, True]


@pytest.mark.parametrize("kernel", ["lanczos", "bicubic", "area"])
def test_pixels_are_resized_without_aliasing(kernel: Any) -> None:
    stripes = np.zeros((3, 64, 64), np.uint8)
    stripes[:, :, ::2] = 255  # finer than the smaller picture can show: gray is left, as Nyquist has it
    small = resized(stripes, (16, 16), kernel)
    assert small.shape == (3, 16, 16)
    assert abs(int(small[:, :, 4:12].mean()) - 127) <= 1
    assert small[:, :, 4:12].std() < 3
