"""Stable Diffusion 1.x and 2.x: a UNet told of the text by cross-attention alone."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from genir.backbone.adapter import Adapter, scale_embedding
from genir.backbone.guidance import DenoiserInput


@dataclass(frozen=True)
class StableDiffusion(Adapter):
    """Adapter of the `sd` family: a UNet2DConditionModel."""

    @property
    def text_width(self) -> int:
        """D of the text that it attends to."""
        return self.denoiser.config.cross_attention_dim

    def predict(self, latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        """The UNet's raw output."""
        width = self.denoiser.config.time_cond_proj_dim
        return self.denoiser(
            latents_NCHW,
            t,
            encoder_hidden_states=inputs.embeds_NLD,
            timestep_cond=scale_embedding(inputs.scale_N, width, latents_NCHW.dtype),
            return_dict=False,
        )[0]
