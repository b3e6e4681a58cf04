"""A second pass at a larger size: what the model made is enlarged and edited by the same model (SDEdit)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from genir import seeds as noise_seeds
from genir.backbone.guidance import Start
from genir.images import resized

if TYPE_CHECKING:
    from genir.backbone.guidance import Guidance
    from genir.backbone.model import Backbone
    from genir.backbone.sdxl import Micro
    from genir.records import Conditioning

Upscaler = Literal["latent", "lanczos", "bicubic"]


@dataclass(frozen=True)
class Hires:
    """How the second pass is made."""

    enlarged: Callable[[tuple[int, int]], tuple[int, int]]
    """Rows and columns of the first pass -> of the second."""
    upscaler: Upscaler
    """latent: bicubic between latents; else pixels are decoded, resized and encoded again."""
    strength: float
    """Share of the steps that run on the enlarged picture."""
    steps: int
    """Of the whole schedule."""
    tile: int | None
    """Pixels of a side of the tiles that are denoised; None: the whole picture at once."""


@torch.no_grad()
def generate(
    backbone: Backbone,
    hires: Hires,
    positive: Conditioning,
    negative: Conditioning,
    empty: Conditioning,
    *,
    size_HW: tuple[int, int],
    seeds: Sequence[int],
    steps: int,
    guidance: Guidance,
    micro: Micro,
    should_stop: Callable[[], bool],
) -> tuple[Tensor, list[bool]]:
    """As `Backbone.generate`, in two passes: the first of `size_HW`, the second of `hires.enlarged(size_HW)`.

    The second pass has noise of its own, drawn from seeds[i] as the first one's: it depends on nothing else.
    """
    first_NCHW = backbone.sample_latents(
        positive,
        negative,
        size_HW=size_HW,
        seeds=seeds,
        steps=steps,
        guidance=guidance,
        empty=empty,
        micro=micro,
        should_stop=should_stop,
    )
    large_HW = hires.enlarged(size_HW)
    large_NCHW, lost = _enlarged(backbone, first_NCHW, large_HW, hires.upscaler, seeds)
    pixels_NCHW, nonfinite = backbone.generate(
        positive,
        negative,
        size_HW=large_HW,
        seeds=[noise_seeds.derive(seed, "", "hires noise") for seed in seeds],
        steps=hires.steps,
        guidance=guidance,
        empty=empty,
        micro=micro,
        should_stop=should_stop,
        start=Start(large_NCHW, hires.strength),
        tile=hires.tile,
    )
    return pixels_NCHW, [before or now for before, now in zip(lost, nonfinite, strict=True)]


def _enlarged(
    backbone: Backbone, latents_NCHW: Tensor, size_HW: tuple[int, int], upscaler: Upscaler, seeds: Sequence[int]
) -> tuple[Tensor, list[bool]]:
    """Latents of `size_HW`, and for each image: was something lost because it was NaN or infinite?"""
    if upscaler == "latent":
        rows, columns = (side // backbone.geometry.factor for side in size_HW)
        large_NCHW = functional.interpolate(latents_NCHW.float(), size=(rows, columns), mode="bicubic")
        return large_NCHW, [False] * len(seeds)  # the decoder will meet what is not finite
    small_NCHW, lost = backbone.decode_latents(latents_NCHW)
    pixels_NCHW = np.stack([resized(pixels_CHW, size_HW, upscaler) for pixels_CHW in small_NCHW.numpy()])
    own = [noise_seeds.derive(seed, "", "hires encoder") for seed in seeds]
    return backbone.encode_images(torch.from_numpy(pixels_NCHW), own), lost
