"""Each speed option: used where it works, otherwise the model stays as it was and one line says why."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor

from genir.backbone import attention, caches, speed
from genir.backbone.guidance import DenoiserInput, Guidance
from genir.backbone.load import load
from genir.backbone.model import Backbone
from genir.backbone.speed import Speed

CPU = torch.device("cpu")


@pytest.fixture
def model(sdxl_folder: Path) -> Backbone:
    return load(str(sdxl_folder))


def made(backbone: Backbone) -> Tensor:
    sides = backbone.encode_positive(["a cat"]), backbone.encode_negative("dirty", 1)
    return backbone.generate(*sides, size_HW=(32, 48), seeds=[1], steps=3, guidance=Guidance(4.0))[0].int()


def use(backbone: Backbone, probe: Any = lambda: None, **wanted: Any) -> list[str]:
    return speed.use(backbone, Speed(**wanted), CPU, "auto", probe)


@pytest.mark.parametrize("option", ["fuse_projections", "channels_last"])
def test_what_only_reorders_sums_leaves_the_picture(model: Backbone, option: str) -> None:
    before = made(model)
    assert use(model, **{option: True}) == [option]
    assert (made(model) - before).abs().max() <= 1
    if option == "channels_last":
        assert model.denoiser.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
        assert model.vae.decoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    else:
        attentions = [module for module in model.denoiser.modules() if hasattr(module, "fused_projections")]
        assert attentions
        assert all(module.fused_projections for module in attentions)


def test_nothing_is_asked_for_by_default(model: Backbone, caplog: pytest.LogCaptureFixture) -> None:
    before = made(model)
    with caplog.at_level(logging.INFO, "genir"):
        assert use(model) == []
    assert not caplog.records
    assert torch.equal(made(model), before)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"step_cache": 0.05}, "speed.step_cache is not used: diffusers has none for UNet2DConditionModel"),
        ({"group_offload": True}, "speed.group_offload is not used: there is no accelerator to save memory of"),
    ],
)
def test_what_does_not_work_here_is_told(
    model: Backbone, wanted: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = made(model)
    assert use(model, **wanted) == []
    assert [record.message for record in caplog.records] == [reason]
    assert torch.equal(made(model), before)


def test_fused_projections_do_not_replace_xformers(model: Backbone, caplog: pytest.LogCaptureFixture) -> None:
    model.attention = "xformers"
    assert use(model, fuse_projections=True) == []
    assert "diffusers' fused attention is SDPA, model.attention is xformers" in caplog.text


def test_a_compiler_that_fails_leaves_the_model(model: Backbone, caplog: pytest.LogCaptureFixture) -> None:
    before = made(model)

    def no_compiler() -> None:
        compiled = [module for module in model.denoiser.modules() if module._compiled_call_impl is not None]
        assert {type(module).__name__ for module in compiled} == {"BasicTransformerBlock"}  # regional
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nmore")

    assert use(model, no_compiler, compile=True) == []
    (record,) = caplog.records
    assert record.message == "speed.compile is not used: InvalidCxxCompiler: No working C++ compiler found"
    assert all(module._compiled_call_impl is None for module in model.denoiser.modules())
    assert torch.equal(made(model), before)


@pytest.mark.slow
def test_compiled_blocks_make_the_same_picture(model: Backbone, caplog: pytest.LogCaptureFixture) -> None:
    before = made(model)
    assert use(model, lambda: made(model), compile=True) == ["compile"], caplog.text
    assert (made(model) - before).abs().max() <= 1


def test_options_are_used_together(model: Backbone, caplog: pytest.LogCaptureFixture) -> None:
    before = made(model)
    with caplog.at_level(logging.INFO, "genir"):
        assert use(model, fuse_projections=True, channels_last=True, decoder_tile=64) == [
            "fuse_projections",
            "channels_last",
        ]
    assert [record.message for record in caplog.records] == ["speed      fuse_projections, channels_last"]
    assert model.decoder_tile == 64
    assert (made(model) - before).abs().max() <= 1


def flux() -> FluxTransformer2DModel:
    torch.manual_seed(0)
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8),
    ).eval()


class Loop:
    """A denoising loop over a transformer that has step caches."""

    def __init__(self, transformer: FluxTransformer2DModel) -> None:
        self.transformer, self.computed = transformer, 0
        transformer.transformer_blocks[1].ff.register_forward_hook(self._count)

    def _count(self, *_: Any) -> None:
        self.computed += 1

    def predict(self, latents_NLC: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        count, length = latents_NLC.shape[:2]
        return self.transformer(
            hidden_states=latents_NLC,
            timestep=t.expand(count),
            encoder_hidden_states=inputs.embeds_NLD,
            pooled_projections=inputs.embeds_NLD.mean(1),
            img_ids=torch.zeros(length, 3),
            txt_ids=torch.zeros(inputs.embeds_NLD.shape[1], 3),
            return_dict=False,
        )[0]

    @torch.no_grad()
    def run(self, seed: int, rows: tuple[int, ...] = (4, 4, 2, 2)) -> Tensor:
        """`rows` images a step, as where guidance ends half-way."""
        predict = caches.remembering(self.predict, self.transformer)
        generator = torch.Generator().manual_seed(seed)
        latents, text = torch.randn(4, 6, 4, generator=generator), torch.randn(4, 5, 32, generator=generator)
        for step, count in enumerate(rows):
            output = predict(latents[:count], torch.tensor(1 - step / 100), DenoiserInput(text[:count]))
            latents = latents - 0.01 * torch.nn.functional.pad(output, (0, 0, 0, 0, 0, 4 - count))
        return latents


def test_a_step_cache_skips_blocks_and_forgets_between_images() -> None:
    loop = Loop(flux())
    plain = loop.run(1)
    assert loop.computed == 4
    assert caches.enable(loop.transformer, 0.5) == ""
    loop.computed = 0
    cached = loop.run(1)
    assert loop.computed == 2  # the first step, and the first one without a negative half
    assert 0 < (cached - plain).abs().max() < 0.1
    loop.run(2)
    assert torch.equal(loop.run(1), cached)


def test_a_tiny_threshold_computes_every_step() -> None:
    loop = Loop(flux())
    plain = loop.run(1)
    assert caches.enable(loop.transformer, 1e-9) == ""
    torch.testing.assert_close(loop.run(1), plain)
    assert loop.computed == 8


def test_flash_attention_falls_back(caplog: pytest.LogCaptureFixture, sd: Backbone) -> None:
    assert attention.use(sd.denoiser, "flash", CPU) == "sdpa"
    assert "attention flash works on CUDA only, not on cpu: using sdpa" in caplog.text
    assert attention._try_flash(sd.denoiser, CPU) == (
        "UNet2DConditionModel does not ask diffusers' dispatcher; its SDPA has a flash kernel of its own"
    )
    transformer = flux()
    reason = attention._try_flash(transformer, CPU)
    assert "flash" in reason.lower()
    assert "\n" not in reason
    processors = [module.processor for module in transformer.modules() if hasattr(module, "processor")]
    assert all(processor._attention_backend is None for processor in processors)
    assert Loop(transformer).run(1).isfinite().all()
