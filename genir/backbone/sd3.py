"""Stable Diffusion 3 and 3.5: a transformer over image and text together (Esser et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from genir.backbone.adapter import Adapter, dynamic_shift
from genir.backbone.encoders import Encoded
from genir.backbone.guidance import DenoiserInput

T5_POSITIONS = 256


@dataclass(frozen=True)
class StableDiffusion3(Adapter):
    """Adapter of the `sd3` family: a SD3Transformer2DModel."""

    @property
    def text_width(self) -> int:
        """D of the text that it attends to."""
        return self.denoiser.config.joint_attention_dim

    @property
    def pooled_width(self) -> int | None:
        """P: both CLIPs' projected vectors."""
        return self.denoiser.config.pooled_projection_dim

    def merge(self, said: Sequence[Encoded]) -> Encoded:
        """Both CLIPs side by side, zeros up to T5's width, then the T5 (zeros where the model has none)."""
        clips, others = said[:2], said[2:]
        clip_NLD = torch.cat([one.hidden_NLD for one in clips], dim=-1)
        clip_NLD = functional.pad(clip_NLD, (0, self.text_width - clip_NLD.shape[-1]))
        t5_NLD = others[0].hidden_NLD if others else clip_NLD.new_zeros(len(clip_NLD), T5_POSITIONS, self.text_width)
        pooled_NP = torch.cat([one.pooled_NP for one in clips if one.pooled_NP is not None], dim=-1)
        return Encoded(torch.cat([clip_NLD, t5_NLD.to(clip_NLD.dtype)], dim=1), pooled_NP)

    def predict(self, latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        """The transformer's raw output."""
        return self.denoiser(
            hidden_states=latents_NCHW,
            timestep=t.expand(len(latents_NCHW)),
            encoder_hidden_states=inputs.embeds_NLD,
            pooled_projections=inputs.pooled_NP,
            return_dict=False,
        )[0]

    def timing(self, scheduler: Any, steps: int, latent_HW: tuple[int, int]) -> dict[str, Any]:
        """The shift of a large image, where the sampler's config asks for it."""
        patch = self.denoiser.config.patch_size
        return {**dynamic_shift(scheduler, (latent_HW[0] // patch) * (latent_HW[1] // patch))}
