from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from genir.backbone import latents


class Identity:
    """An autoencoder whose latents are the pixels; with the scales of a config."""

    dtype = torch.float32
    device = torch.device("cpu")

    def __init__(self, **config: Any):
        self.config = SimpleNamespace(scaling_factor=1.0, **config)

    def decode(self, latents_NCHW: Tensor, return_dict: bool) -> tuple[Tensor]:
        return (latents_NCHW,)

    def encode(self, pixels_NCHW: Tensor) -> SimpleNamespace:
        return SimpleNamespace(latents=pixels_NCHW)


def test_nonfinite_pixels_are_black_and_flagged() -> None:
    values = torch.full((3, 3, 2, 2), 1.0)
    values[1, 0, 0, 1] = torch.nan
    values[2, 2, 1, 0] = -torch.inf
    pixels, broken = latents.decode(Identity(), values)
    assert broken == [False, True, True]
    assert pixels.dtype == torch.uint8
    assert (pixels[0] == 255).all()
    assert pixels[1, :, 0, 1].tolist() == [0, 0, 0]
    assert pixels[2, :, 1, 0].tolist() == [0, 0, 0]
    assert (pixels[1:] == 255).sum() == 2 * 3 * 3


def test_pixels_are_rounded_and_clamped() -> None:
    values = torch.tensor([-1.2, -1.0, 0.0, 0.999, 1.0, 7.0]).reshape(1, 1, 1, 6).expand(1, 3, 1, 6)
    assert latents.decode(Identity(), values)[0][0, 0, 0].tolist() == [0, 0, 128, 255, 255, 255]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"shift_factor": 0.25},
        {"shift_factor": None, "latents_mean": None, "latents_std": None},
        {"latents_mean": [0.1, 0.2, 0.3], "latents_std": [0.5, 2.0, 4.0]},
    ],
    ids=["scale", "shift", "nulls", "mean-std"],
)
def test_decoding_undoes_encoding(config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 4, 6), dtype=torch.uint8)
    vae = Identity(**config)
    vae.config.scaling_factor = 0.18
    inner = latents.encode(vae, images, [torch.Generator(), torch.Generator()])
    again, broken = latents.decode(vae, inner)
    assert torch.equal(again, images)
    assert broken == [False, False]


def test_mean_and_std_as_sdxl_has_them() -> None:
    vae = Identity(latents_mean=[1.0, 2.0, 3.0], latents_std=[2.0, 2.0, 4.0])
    vae.config.scaling_factor = 0.5
    found = latents.decode_floats(vae, torch.ones(1, 3, 1, 1))
    assert found.flatten().tolist() == [1 / 0.5 * 2 + 1, 1 / 0.5 * 2 + 2, 1 / 0.5 * 4 + 3]


def test_an_encoded_image_depends_on_its_own_seed_only() -> None:
    vae = tiny.vae()
    torch.manual_seed(0)
    images = torch.randint(0, 256, (3, 3, 16, 24), dtype=torch.uint8)

    def encoded(at: slice, seeds: list[int]) -> Tensor:
        with torch.no_grad():
            return latents.encode(vae, images[at], [torch.Generator().manual_seed(seed) for seed in seeds])

    whole = encoded(slice(0, 3), [1, 2, 3])
    assert whole.shape == (3, 4, 8, 12)
    assert torch.equal(whole[1:], encoded(slice(1, 3), [2, 3]))
    assert not torch.equal(whole[1:], encoded(slice(1, 3), [2, 4]))
    posterior = vae.encode(images[:1].float() / 127.5 - 1).latent_dist
    noise = torch.randn(posterior.mean.shape, generator=torch.Generator().manual_seed(1))
    expected = (posterior.mean + posterior.std * noise) * vae.config.scaling_factor
    torch.testing.assert_close(whole[:1], expected.detach(), atol=1e-6, rtol=1e-6)


class Overflowing(Identity):
    """Half precision overflows behind the scale; float32 does not."""

    def __init__(self) -> None:
        super().__init__()
        self.dtype, self.used = torch.float16, []

    def to(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def decode(self, latents_NCHW: Tensor, return_dict: bool) -> tuple[Tensor]:
        self.used.append(latents_NCHW.dtype)
        return (latents_NCHW * 10_000 / 80_000 * 8,) if latents_NCHW.dtype == torch.float32 else (latents_NCHW * 1e4,)


def test_an_overflow_in_half_precision_is_decoded_again(caplog: pytest.LogCaptureFixture) -> None:
    latents._tell_of_overflow.cache_clear()
    vae = Overflowing()
    values = torch.tensor([0.00005, 8.0, 0.5]).reshape(3, 1, 1, 1).expand(3, 3, 2, 2)
    for _ in range(2):
        pixels, broken = latents.decode(vae, values.half())
        assert broken == [False, False, False]
        assert pixels[:, 0, 0, 0].tolist() == [191, 255, 255]
    assert vae.dtype == torch.float16
    assert vae.used == [torch.float16, torch.float16, torch.float32, torch.float16] * 2
    assert [record.message for record in caplog.records] == [
        "Overflowing overflows in float16: such images are decoded again in float32, which takes longer; model.vae can "
        "name an autoencoder that does not, or model.dtype=bfloat16"
    ]


def test_what_float32_cannot_help_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    vae = Overflowing()
    values = torch.full((1, 3, 2, 2), torch.nan, dtype=torch.float16)
    assert latents.decode(vae, values)[1] == [True]
    assert vae.used == [torch.float16]  # such latents would be decoded to the same


def test_a_real_autoencoder_that_overflows_in_float16() -> None:
    vae = tiny.vae()
    values = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        vae.decoder.conv_in.weight.mul_(3e4)
        vae.decoder.conv_in.bias.mul_(3e4)
        expected, broken = latents.decode(vae, values)
        assert broken == [False, False]
        vae.half()
        assert not torch.isfinite(latents.decode_floats(vae, values)).all()
        found, broken = latents.decode(vae, values)
    assert broken == [False, False]
    assert vae.dtype == torch.float16
    assert (found.int() - expected.int()).abs().max() <= 2  # weights and latents were rounded to float16
