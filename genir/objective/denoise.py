"""GenIR's objective: textual inversion of two disjoint sets of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from genir.backbone.text import stacked

if TYPE_CHECKING:
    from torch import Tensor

    from genir.backbone.model import Backbone
    from genir.objective.batch import Examples


def denoise(backbone: Backbone, positives: Examples | None, negatives: Examples | None) -> Tensor:
    """Mean denoising loss of positives under the positive prompt and negatives under the negative one, in one pass.

    Textual inversion (Gal et al. 2022, equation 2) of two sets at once (Ai et al. 2024, section 3.2). A negative has no
    caption: the negative prompt is one for all images.
    """
    parts = [examples for examples in (positives, negatives) if examples is not None]
    sides = []
    if positives is not None:
        sides.append(backbone.encode_positive(positives.captions))
    if negatives is not None:
        sides.append(backbone.encode_negative("", len(negatives)))
    return backbone.loss(
        torch.cat([part.latents_NCHW for part in parts]),
        stacked(sides),
        noise_NCHW=torch.cat([part.noise_NCHW for part in parts]),
        timesteps_N=torch.cat([part.timesteps_N for part in parts]),
        micro=[micro for part in parts for micro in part.micro],
    ).mean()
