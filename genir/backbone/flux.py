"""FLUX.1: a transformer over image patches and a T5's text, with CLIP's pooled vector, told the guidance scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genir.backbone.adapter import Adapter, dynamic_shift
from genir.backbone.encoders import Encoded
from genir.backbone.guidance import DenoiserInput


@dataclass(frozen=True)
class Flux(Adapter):
    """Adapter of the `flux` family: a FluxTransformer2DModel."""

    @property
    def channels(self) -> int:
        """C of its latents, before they are packed."""
        return self.denoiser.config.in_channels // 4

    @property
    def text_width(self) -> int:
        """D of the text that it attends to."""
        return self.denoiser.config.joint_attention_dim

    @property
    def pooled_width(self) -> int | None:
        """P of CLIP's pooled vector."""
        return self.denoiser.config.pooled_projection_dim

    def merge(self, said: Sequence[Encoded]) -> Encoded:
        """CLIP's pooled vector, the T5's states."""
        clip, t5 = said
        return Encoded(t5.hidden_NLD, clip.pooled_NP)

    def predict(self, latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        """The transformer's raw output for patches of 2 x 2 latent positions."""
        count, channels, rows, columns = latents_NCHW.shape
        patches = latents_NCHW.reshape(count, channels, rows // 2, 2, columns // 2, 2).permute(0, 2, 4, 1, 3, 5)
        answer = self.denoiser(
            hidden_states=patches.reshape(count, (rows // 2) * (columns // 2), channels * 4),
            timestep=t.expand(count).to(latents_NCHW.dtype) / 1000,
            guidance=inputs.scale_N,
            pooled_projections=inputs.pooled_NP,
            encoder_hidden_states=inputs.embeds_NLD,
            txt_ids=latents_NCHW.new_zeros(inputs.embeds_NLD.shape[1], 3),
            img_ids=_places(rows // 2, columns // 2).to(latents_NCHW),
            return_dict=False,
        )[0]
        patches = answer.reshape(count, rows // 2, columns // 2, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
        return patches.reshape(count, channels, rows, columns)

    def timing(self, scheduler: Any, steps: int, latent_HW: tuple[int, int]) -> dict[str, Any]:
        """Even steps from 1 to 1/n, and the shift of a large image where the sampler's config asks for it."""
        found: dict[str, Any] = dynamic_shift(scheduler, (latent_HW[0] // 2) * (latent_HW[1] // 2))
        if type(scheduler).__name__ == "FlowMatchEulerDiscreteScheduler":
            found["sigmas"] = np.linspace(1.0, 1 / steps, steps)
        return found


def _places(rows: int, columns: int) -> Tensor:
    """Row and column of every patch, as (rows * columns, 3) with a zero in front."""
    grid = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
    return torch.cat([torch.zeros(rows * columns, 1, dtype=torch.long), grid], dim=1)
