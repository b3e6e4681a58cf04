"""A LoRA that acts on the pass of one prompt alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch

from genir.backbone import lora
from genir.backbone.guidance import Guidance
from genir.backbone.load import load
from genir.backbone.model import Backbone
from genir.backbone.speed import Speed, use
from genir.backbone.text import stacked
from genir.dualprompt import DualPrompt
from genir.errors import ModelError
from genir.records import Branch


@pytest.fixture(params=["sd", "sdxl"])
def folder(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(f"{request.param}_folder")


def pair(backbone: Backbone, branch: Branch = "both", tuned: bool = True) -> DualPrompt:
    torch.manual_seed(3)
    sides = [{"embeds": torch.randn(4, backbone.adapter.text_width)} for _ in range(2)]
    tensors = tiny.lora(backbone.denoiser) if tuned else {}
    return DualPrompt("output", *sides, model_id=backbone.id, family=backbone.family, lora=tensors, lora_branch=branch)


def model(folder: Path, branch: Branch = "both", tuned: bool = True) -> Backbone:
    backbone = load(str(folder))
    backbone.apply(pair(backbone, branch, tuned))
    return backbone


def passes(backbone: Backbone) -> tuple[torch.Tensor, torch.Tensor]:
    """What the passes of the negative and of the positive prompt say: guided steps of scale 0 and 1."""
    torch.manual_seed(4)
    noisy_NCHW = torch.randn(2, 4, 8, 8)
    sides = backbone.encode_positive(["a cat", "the dog"]), backbone.encode_negative("", 2)
    with torch.no_grad():
        negative, positive = (backbone.predict_clean(noisy_NCHW, 500, *sides, scale) for scale in (0.0, 1.0))
    return negative, positive


@pytest.mark.parametrize("branch", ["positive", "negative"])
def test_only_one_pass_has_the_lora(folder: Path, branch: Branch) -> None:
    plain, fused = passes(model(folder, tuned=False)), passes(model(folder))
    assert all((a - b).abs().max() > 1e-2 for a, b in zip(plain, fused, strict=True))
    backbone = model(folder, branch)
    assert not any(parameter.requires_grad for parameter in backbone.denoiser.parameters())
    negative, positive = passes(backbone)
    wanted = (plain[0], fused[1]) if branch == "positive" else (fused[0], plain[1])
    torch.testing.assert_close(negative, wanted[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(positive, wanted[1], atol=1e-4, rtol=1e-4)


def test_every_picture_of_a_mixed_batch_is_told_its_own(folder: Path) -> None:
    backbone = model(folder, "negative")
    told = backbone.encode_positive(["a cat", "the dog"]), backbone.encode_negative("", 1)
    clean, noise = torch.randn(2, 3, 4, 8, 8)
    with torch.no_grad():
        mixed, first, last = (
            backbone.loss(clean[rows], side, noise_NCHW=noise[rows], timesteps_N=torch.full((len(clean[rows]),), 500))
            for rows, side in ((slice(3), stacked(told)), (slice(2), told[0]), (slice(2, 3), told[1]))
        )
    torch.testing.assert_close(mixed, torch.cat([first, last]), atol=1e-5, rtol=1e-5)


def test_the_plain_prompt_of_a_delayed_negative_has_none(folder: Path) -> None:
    def image(backbone: Backbone) -> torch.Tensor:
        return backbone.sample_latents(
            backbone.encode_positive(["a cat"]),
            backbone.encode_negative("", 1),
            empty=backbone.encode_empty(1),
            size_HW=(64, 64),
            seeds=[1],
            steps=2,
            guidance=Guidance(4.0, delay=1.0),
        )

    without = image(model(folder, tuned=False))
    torch.testing.assert_close(image(model(folder, "negative")), without, atol=1e-4, rtol=1e-4)
    assert (image(model(folder, "positive")) - without).abs().max() > 1e-3


@pytest.mark.parametrize(("branch", "other"), [("positive", "negative"), ("negative", "positive")])
def test_a_new_lora_learns_from_its_own_side(folder: Path, branch: Branch, other: Branch) -> None:
    backbone = load(str(folder))
    backbone.apply(pair(backbone, tuned=False))
    learned = lora.attach(backbone.denoiser, 2, ["attn2"], seed=3)
    backbone.limit_lora(branch)
    sides = {"positive": backbone.encode_positive(["a cat"]), "negative": backbone.encode_negative("", 1)}
    told = {"noise_NCHW": torch.randn(1, 4, 8, 8), "timesteps_N": torch.tensor([500])}
    for side, reached in ((other, False), (branch, True)):
        backbone.loss(torch.randn(1, 4, 8, 8), sides[side], **told).sum().backward()
        assert any(bool(parameter.grad.any()) for parameter in learned if parameter.grad is not None) == reached


def test_layers_with_a_lora_beside_them_are_not_fused(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    backbone = model(folder, "positive")
    before = passes(backbone)
    assert use(backbone, Speed(fuse_projections=True), torch.device("cpu"), "sdpa", lambda: None) == []
    assert "acts on one side alone, beside the weights" in caplog.text
    assert all(torch.equal(a, b) for a, b in zip(before, passes(backbone), strict=True))


def test_another_pair_asks_for_another_model(sd_folder: Path) -> None:
    backbone = model(sd_folder, "positive")
    backbone.apply(backbone.text.dual)
    with pytest.raises(ModelError, match="load the model again"):
        backbone.apply(replace(pair(backbone, "positive"), lora={}))
