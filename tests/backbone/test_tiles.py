from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from genir.backbone import tiles
from genir.backbone.guidance import Guidance
from genir.backbone.load import load
from genir.backbone.model import Backbone
from genir.errors import Stopped


@pytest.mark.parametrize(("length", "tile"), [(10, 10), (10, 16), (11, 10), (40, 16), (64, 3), (5, 1), (255, 128)])
def test_tiles_cover_and_overlap(length: int, tile: int) -> None:
    found = tiles.starts(length, tile)
    covered = {at for start in found for at in range(start, min(start + tile, length))}
    assert covered == set(range(length))
    assert found[0] == 0
    assert found[-1] == max(0, length - tile)
    gaps = [after - before for before, after in pairwise(found)]
    assert all(0 < gap <= max(1, tile * (1 - tiles.OVERLAP)) for gap in gaps)


@pytest.mark.parametrize("size", [(24, 40), (16, 16), (7, 33)])
def test_work_on_each_place_alone_shows_no_tile(size: tuple[int, int]) -> None:
    large = torch.randn(2, 4, *size, generator=torch.Generator().manual_seed(0))

    def double(part: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(part[:, :3] * 2, scale_factor=2, mode="nearest")

    torch.testing.assert_close(tiles.blended(double, large, (16, 16)), double(large))


def test_a_seam_fades() -> None:
    """Tiles that disagree are joined by a ramp, not by a step."""
    calls: list[Tensor] = []

    def number(part: Tensor) -> Tensor:
        calls.append(part)
        return torch.full_like(part, float(len(calls)))

    row = tiles.blended(number, torch.zeros(1, 1, 16, 28), (16, 16))[0, 0, 8]
    assert len(calls) == 2
    assert (row[0].item(), row[-1].item()) == (1.0, 2.0)
    steps = row.diff()
    assert (steps >= 0).all()
    assert steps.max() < 0.5


def settings(**more: object) -> dict[str, object]:
    return {"size_HW": (64, 96), "seeds": [1, 2], "steps": 2, "guidance": Guidance(3.0), **more}


def test_a_tile_as_large_as_the_picture_changes_nothing(sdxl: Backbone) -> None:
    sides = sdxl.encode_positive(["a cat", "a dog"]), sdxl.encode_negative("dirty", 2)
    whole, _ = sdxl.generate(*sides, **settings())
    assert torch.equal(whole, sdxl.generate(*sides, **settings(tile=96))[0])
    assert not torch.equal(whole, sdxl.generate(*sides, **settings(tile=48))[0])


def test_a_picture_in_tiles_depends_on_its_own_seed(sd: Backbone) -> None:
    sides = sd.encode_positive(["a cat", "a cat"]), sd.encode_negative("dirty", 2)
    both = sd.sample_latents(*sides, **settings(tile=48))
    alone = [
        sd.sample_latents(sd.encode_positive(["a cat"]), sd.encode_negative("dirty", 1), **settings(tile=48, seeds=[n]))
        for n in (1, 2)
    ]
    torch.testing.assert_close(both, torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_stopping_is_asked_in_tiles_too(sd: Backbone) -> None:
    sides = sd.encode_positive(["a cat", "a cat"]), sd.encode_negative("dirty", 2)
    with pytest.raises(Stopped):
        sd.sample_latents(*sides, **settings(tile=48, should_stop=lambda: True))


def test_the_decoder_in_tiles(sd_folder: object) -> None:
    backbone = load(str(sd_folder))
    rows = torch.randn(1, 4, 48, 64, generator=torch.Generator().manual_seed(0))
    seen: list[int] = []
    hook = backbone.vae.decoder.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[-1]))
    whole, _ = backbone.decode_latents(rows)
    backbone.decoder_tile = 96
    parts, _ = backbone.decode_latents(rows)
    hook.remove()
    assert seen == [64, 48, 48]
    assert whole.shape == parts.shape == (1, 3, 96, 128)
    assert not torch.equal(whole, parts)
    backbone.decoder_tile = 128
    assert torch.equal(whole, backbone.decode_latents(rows)[0])
