"""SDEdit in genir's own loop gives what diffusers' img2img pipelines give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from genir.backbone.guidance import Guidance, Start
from genir.backbone.load import load
from genir.backbone.model import Backbone
from genir.backbone.schedulers import NAMES
from genir.errors import ConfigError

# diffusers 0.42 mixes numpy and tensors in ways that numpy 2 deprecates
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning"),
]

PROMPTS = ["a photo of a cat", "a red stone house. the green lake"]
SEEDS = [7, 8]
STEPS = 5


def photographs(size: tuple[int, int]) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (2, 3, *size), generator=generator, dtype=torch.uint8)


def theirs(folder: Path, name: str, latents: Tensor, strength: float, scale: float, **options: Any) -> Any:
    pipeline: Any = diffusers.AutoPipelineForImage2Image.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config)
    return pipeline(
        PROMPTS,
        negative_prompt=["dirty"] * 2,
        image=latents,
        strength=strength,
        guidance_scale=scale,
        num_inference_steps=STEPS,
        generator=[torch.Generator().manual_seed(seed) for seed in SEEDS],
        **options,
    ).images


def ours(backbone: Backbone, latents: Tensor, size: tuple[int, int], strength: float, scale: float) -> Any:
    return backbone.sample_latents(
        backbone.encode_positive(PROMPTS),
        backbone.encode_negative("dirty", 2),
        size_HW=size,
        seeds=SEEDS,
        steps=STEPS,
        guidance=Guidance(scale),
        start=Start(latents, strength),
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_named_scheduler_equals_the_img2img_pipeline(name: str, sd_folder: Path) -> None:
    backbone = load(str(sd_folder), scheduler={"name": name})
    latents = backbone.encode_images(photographs((32, 32)), SEEDS)
    # The pipeline sets eta 0 for every scheduler that has one; genir leaves a scheduler its own default
    eta = {"eta": 0.3} if name == "TCDScheduler" else {}
    expected = theirs(sd_folder, name, latents, 0.6, 4.0, output_type="latent", **eta)
    torch.testing.assert_close(ours(backbone, latents, (32, 32), 0.6, 4.0), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("strength", "scale"), [(0.6, 5.0), (0.2, 5.0), (1.0, 5.0), (0.6, 1.0)])
@pytest.mark.parametrize("name", ["EulerDiscreteScheduler", "DPMSolverMultistepScheduler"])
@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_latents_equal(name: str, family: str, strength: float, scale: float, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(f"{family}_folder")
    backbone = load(str(folder), scheduler={"name": name})
    latents = backbone.encode_images(photographs((32, 48)), SEEDS)
    expected = theirs(folder, name, latents, strength, scale, output_type="latent")
    torch.testing.assert_close(ours(backbone, latents, (32, 48), strength, scale), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_pictures_equal(family: str, request: pytest.FixtureRequest) -> None:
    backbone: Backbone = request.getfixturevalue(family)
    latents = backbone.encode_images(photographs((32, 32)), SEEDS)
    expected = theirs(request.getfixturevalue(f"{family}_folder"), "DDIMScheduler", latents, 0.6, 4.0, output_type="pt")
    pixels, _ = backbone.decode_latents(ours(backbone, latents, (32, 32), 0.6, 4.0))
    assert (pixels.float() - expected * 255).abs().max() <= 0.51


def test_less_strength_stays_nearer_to_the_photograph(sd: Backbone) -> None:
    latents = sd.encode_images(photographs((32, 32)), SEEDS)
    distances = [(ours(sd, latents, (32, 32), strength, 1.0) - latents).abs().mean() for strength in (0.2, 0.6, 1.0)]
    assert distances[0] < distances[1] < distances[2]


def test_noise_does_not_depend_on_the_batch(sd: Backbone) -> None:
    latents = sd.encode_images(photographs((32, 32)), SEEDS)
    whole = ours(sd, latents, (32, 32), 0.6, 1.0)
    alone = sd.sample_latents(
        sd.encode_positive(PROMPTS[1:]), None,
        size_HW=(32, 32), seeds=SEEDS[1:], steps=STEPS, guidance=Guidance(1.0), start=Start(latents[1:], 0.6),
    )  # fmt: skip
    torch.testing.assert_close(whole[1:], alone, atol=1e-4, rtol=1e-4)


def test_the_interval_counts_over_the_whole_schedule(sd: Backbone) -> None:
    """The last three of five steps run; of these 0.8 .. 1.0 is the last."""
    rows: list[int] = []
    latents = sd.encode_images(photographs((32, 32)), SEEDS)
    handle = sd.denoiser.register_forward_pre_hook(lambda module, args: rows.append(args[0].shape[0]))
    sd.sample_latents(
        sd.encode_positive(PROMPTS), sd.encode_negative("dirty", 2), size_HW=(32, 32), seeds=SEEDS,
        steps=STEPS, guidance=Guidance(4.0, start=0.8), start=Start(latents, 0.6),
    )  # fmt: skip
    handle.remove()
    assert rows == [2, 2, 4]


@pytest.mark.parametrize(
    ("strength", "text"),
    [
        (0.0, "SDEdit strength is 0.0 with 5 steps: no step is left; allowed: above 0, at most 1"),
        (1.5, "SDEdit strength is 1.5"),
        (0.1, "SDEdit strength is 0.1 with 5 steps: no step is left; allowed: more steps or strength"),
    ],
)
def test_refused_strengths(sd: Backbone, strength: float, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ours(sd, sd.encode_images(photographs((32, 32)), SEEDS), (32, 32), strength, 1.0)
    assert text in str(caught.value)
