"""With the analytic target as the model's answer the loss is 0 and samplers land on the clean latents."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import tiny
import torch
from torch import Tensor

from genir.backbone.forward import VariancePreserving, forward_process
from genir.backbone.guidance import DenoiserInput, Guidance, denoise
from genir.backbone.loss import denoising_loss, guided_clean
from genir.backbone.model import Backbone
from genir.errors import ModelError

# diffusers 0.42 mixes numpy and tensors in ways that numpy 2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SHAPE = (4, 6, 8)
TOLD = DenoiserInput(torch.zeros(2, 3, 5))
KINDS = ["epsilon", "v_prediction", "sample"]


def oracle(clean_NCHW: Tensor, alphas: Tensor, kind: str) -> Any:
    def predict(latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        keep = alphas[t.long()].reshape(-1, 1, 1, 1)
        noise = (latents_NCHW - keep.sqrt() * clean_NCHW) / (1 - keep).sqrt()
        answers = {"epsilon": noise, "v_prediction": keep.sqrt() * noise - (1 - keep).sqrt() * clean_NCHW}
        return answers.get(kind, clean_NCHW)

    return predict


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["DDIMScheduler", "EulerDiscreteScheduler"])
def test_loss_of_the_right_answer_is_zero(name: str, kind: str) -> None:
    torch.manual_seed(0)
    sampler = getattr(diffusers, name).from_config(tiny.scheduler(kind).config)
    process = forward_process(sampler)
    assert isinstance(process, VariancePreserving)
    clean, noise = torch.randn(2, *SHAPE), torch.randn(2, *SHAPE)
    timesteps = torch.tensor([40, 700])
    predict = oracle(clean, process.kept_T, kind)
    loss = denoising_loss(predict, process, clean, noise, timesteps, TOLD)
    assert loss.shape == (2,)
    assert loss.max() < 1e-8

    def off_by_half(*args: Any) -> Tensor:
        return predict(*args) + torch.tensor([0.0, 0.5]).reshape(2, 1, 1, 1)

    wrong = denoising_loss(off_by_half, process, clean, noise, timesteps, TOLD)
    torch.testing.assert_close(wrong, torch.tensor([0.0, 0.25]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", ["DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"])
def test_samplers_land_on_the_clean_latents(name: str, kind: str) -> None:
    torch.manual_seed(0)
    options = {"set_alpha_to_one": True} if name == "DDIMScheduler" else {}
    own = dict(tiny.scheduler(kind).config) | {"timestep_spacing": "leading"}
    sampler = getattr(diffusers, name).from_config(own, **options)
    clean = torch.randn(2, *SHAPE)
    process = forward_process(sampler)
    assert isinstance(process, VariancePreserving)
    alphas = process.kept_T
    found = denoise(
        oracle(clean, alphas, kind), sampler, SHAPE, TOLD, None, None,
        seeds=[3, 4], steps=20, guidance=Guidance(1.0), should_stop=lambda: False,
    )  # fmt: skip
    torch.testing.assert_close(found, clean, atol=1e-3, rtol=0)


def test_a_sampler_without_betas_has_no_loss() -> None:
    with pytest.raises(ModelError, match="EDMEulerScheduler with prediction type epsilon: the denoising loss needs"):
        forward_process(diffusers.EDMEulerScheduler())


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_backbone_loss_is_per_image(family: str, request: pytest.FixtureRequest) -> None:
    backbone: Backbone = request.getfixturevalue(family)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8)
    clean = backbone.encode_images(images, seeds=[1, 2])
    assert clean.shape == (2, 4, 16, 24)
    assert torch.equal(clean[1:], backbone.encode_images(images[1:], seeds=[2]))
    noise, timesteps = torch.randn_like(clean), torch.tensor([100, 900])
    told = backbone.encode_positive(["a cat", "a dog"])
    both = backbone.loss(clean, told, noise_NCHW=noise, timesteps_N=timesteps)
    one = backbone.loss(clean[1:], backbone.encode_positive(["a dog"]), noise_NCHW=noise[1:], timesteps_N=timesteps[1:])
    assert both.shape == (2,)
    torch.testing.assert_close(both[1:], one, atol=1e-5, rtol=1e-5)
    assert both[0] != both[1]


@pytest.mark.parametrize("kind", KINDS)
def test_guided_steps_of_the_right_answer_are_clean_and_land_on_themselves(kind: str) -> None:
    torch.manual_seed(0)
    process = forward_process(tiny.scheduler(kind))
    assert isinstance(process, VariancePreserving)
    clean, noise = torch.randn(2, *SHAPE), torch.randn(2, *SHAPE)

    def predict(latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        return oracle(torch.cat([clean, clean]), process.kept_T, kind)(latents_NCHW, t, inputs)

    def noisy(t: int) -> Tensor:
        return process.noisy(clean, noise, torch.tensor([t, t]))

    found = guided_clean(predict, process, noisy(700), 700, TOLD, TOLD, 5.0)
    torch.testing.assert_close(found, clean, atol=1e-3, rtol=0)
    torch.testing.assert_close(process.step(noisy(700), clean, 700, 300), noisy(300), atol=1e-4, rtol=0)
