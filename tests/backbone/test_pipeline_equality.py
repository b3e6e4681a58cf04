"""genir's own loop gives what diffusers' pipelines give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import tiny
import torch

from genir.backbone.guidance import Guidance
from genir.backbone.latents import decode_floats
from genir.backbone.load import load
from genir.backbone.model import Backbone
from genir.backbone.schedulers import NAMES
from genir.backbone.sdxl import Micro

# diffusers 0.42 mixes numpy and tensors in ways that numpy 2 deprecates
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning"),
]

PROMPTS = ["a photo of a cat", "a red stone house. the green lake"]
SEEDS = [7, 8]


def opened(folder: Path) -> Any:
    """The plain pipeline as a user loads it: a config that was never saved gives other defaults."""
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def pipeline_latents(pipeline: Any, prompts: list[str] = PROMPTS, **options: Any) -> torch.Tensor:
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS[: len(prompts)]]
    return pipeline(prompts, generator=generators, output_type="latent", **options).images


def own_latents(backbone: Backbone, negative: str | None, scale: float, size: tuple[int, int], **options: Any) -> Any:
    side = backbone.encode_empty(2) if negative is None else backbone.encode_negative(negative, 2)
    return backbone.sample_latents(
        backbone.encode_positive(PROMPTS),
        side,
        size_HW=size,
        seeds=SEEDS,
        guidance=Guidance(scale),
        **options,
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_named_scheduler_equals_the_pipeline(name: str, sd_folder: Path) -> None:
    pipeline = opened(sd_folder)
    pipeline.scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config)
    backbone = load(str(sd_folder), scheduler={"name": name})
    # The pipeline sets eta 0 for every scheduler that has one; genir leaves a scheduler its own default
    eta = {"eta": 0.3} if name == "TCDScheduler" else {}
    sizes = {"num_inference_steps": 4, "height": 32, "width": 32}
    theirs = pipeline_latents(pipeline, negative_prompt=["dirty"] * 2, guidance_scale=4.0, **sizes, **eta)
    ours = own_latents(backbone, "dirty", 4.0, (32, 32), steps=4)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("negative", "scale", "size"),
    [("blurry dirty", 5.0, (32, 32)), (None, 5.0, (32, 48)), ("blurry", 1.0, (32, 32))],
    ids=["negative", "no-negative-nonsquare", "no-guidance"],
)
@pytest.mark.parametrize("family", ["sd", "sdxl"])
@pytest.mark.parametrize("name", ["EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"])
def test_latents_equal(
    name: str,
    family: str,
    negative: str | None,
    scale: float,
    size: tuple[int, int],
    request: pytest.FixtureRequest,
) -> None:
    folder = request.getfixturevalue(f"{family}_folder")
    pipeline = opened(folder)
    pipeline.scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config)
    backbone = load(str(folder), scheduler={"name": name})
    theirs = pipeline_latents(
        pipeline,
        negative_prompt=None if negative is None else [negative] * 2,
        guidance_scale=scale,
        num_inference_steps=4,
        height=size[0],
        width=size[1],
    )
    torch.testing.assert_close(own_latents(backbone, negative, scale, size, steps=4), theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", ["sd", "sdxl"])
@pytest.mark.parametrize("rescale", [0.7, 1.0])
def test_rescaled_guidance_is_the_pipelines_guidance_rescale(
    rescale: float, family: str, request: pytest.FixtureRequest
) -> None:
    folder, backbone = request.getfixturevalue(f"{family}_folder"), request.getfixturevalue(family)
    common = {"guidance_scale": 9.0, "num_inference_steps": 4, "height": 32, "width": 32}
    theirs, plain = (
        pipeline_latents(opened(folder), negative_prompt=["dirty"] * 2, guidance_rescale=share, **common)
        for share in (rescale, 0.0)
    )
    ours = backbone.sample_latents(
        backbone.encode_positive(PROMPTS), backbone.encode_negative("dirty", 2),
        size_HW=(32, 32), seeds=SEEDS, steps=4, guidance=Guidance(9.0, rescale=rescale),
    )  # fmt: skip
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert (theirs - plain).abs().max() > 1e-3


def test_sdxl_size_conditioning_of_both_sides(sdxl: Backbone, sdxl_folder: Path) -> None:
    pipeline = opened(sdxl_folder)
    sizes = {
        "original_size": (100, 120),
        "crops_coords_top_left": (4, 6),
        "target_size": (64, 96),
        "negative_original_size": (20, 30),
        "negative_crops_coords_top_left": (1, 2),
        "negative_target_size": (40, 50),
    }
    common = {"guidance_scale": 5.0, "num_inference_steps": 3, "height": 64, "width": 96}
    # One image: for more, diffusers 0.42 orders the time ids [n, p, n, p] beside prompts [n, n, p, p]
    theirs = pipeline_latents(pipeline, PROMPTS[:1], negative_prompt=["dirty"], **sizes, **common)
    plain = pipeline_latents(pipeline, negative_prompt=["dirty"] * 2, **common)
    micro = Micro((100, 120), (4, 6), (64, 96), (20, 30), (1, 2), (40, 50))
    ours = own_latents(sdxl, "dirty", 5.0, (64, 96), steps=3, micro=micro)
    torch.testing.assert_close(ours[:1], theirs, atol=1e-4, rtol=1e-4)
    assert (theirs - plain[:1]).abs().max() > 1e-3
    del sizes["negative_original_size"], sizes["negative_crops_coords_top_left"], sizes["negative_target_size"]
    theirs = pipeline_latents(pipeline, PROMPTS[:1], negative_prompt=["dirty"], **sizes, **common)
    ours = own_latents(sdxl, "dirty", 5.0, (64, 96), steps=3, micro=Micro((100, 120), (4, 6), (64, 96)))
    torch.testing.assert_close(ours[:1], theirs, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(own_latents(sdxl, "dirty", 5.0, (64, 96), steps=3), plain, atol=1e-4, rtol=1e-4)


def test_sdxl_that_does_not_zero_the_empty_negative(tmp_path: Path) -> None:
    folder = tiny.saved(tiny.sdxl(force_zeros=False), tmp_path)
    backbone = load(str(folder))
    theirs = pipeline_latents(opened(folder), guidance_scale=5.0, num_inference_steps=2, height=64, width=64)
    torch.testing.assert_close(own_latents(backbone, None, 5.0, (64, 64), steps=2), theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_images_equal(family: str, request: pytest.FixtureRequest) -> None:
    backbone: Backbone = request.getfixturevalue(family)
    pipeline = opened(request.getfixturevalue(f"{family}_folder"))
    theirs = pipeline(
        PROMPTS,
        generator=[torch.Generator().manual_seed(seed) for seed in SEEDS],
        guidance_scale=4.0,
        num_inference_steps=3,
        height=64,
        width=48,
        output_type="pt",
    ).images
    options = {"size_HW": (64, 48), "seeds": SEEDS, "steps": 3, "guidance": Guidance(4.0)}
    positive, negative = backbone.encode_positive(PROMPTS), backbone.encode_negative("", 2)
    pixels, nonfinite = backbone.generate(positive, negative, **options)
    assert pixels.shape == (2, 3, 64, 48)
    assert pixels.dtype == torch.uint8
    assert nonfinite == [False, False]
    assert (pixels.float() - theirs * 255).abs().max() <= 0.51
    with torch.no_grad():
        floats = decode_floats(backbone.vae, backbone.sample_latents(positive, negative, **options))
    torch.testing.assert_close((floats / 2 + 0.5).clamp(0, 1), theirs, atol=1e-4, rtol=1e-4)


def test_default_size_is_the_pipelines(sd: Backbone, sdxl: Backbone) -> None:
    assert sd.geometry.multiple == tiny.sd().vae_scale_factor == 2
    assert sd.geometry.native_HW == sdxl.geometry.native_HW == (64, 64)
