"""Sana: a transformer of linear attention over 32 times smaller latents, told of a Gemma's text (Xie et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from genir.backbone.adapter import Adapter
from genir.backbone.guidance import DenoiserInput


@dataclass(frozen=True)
class Sana(Adapter):
    """Adapter of the `sana` family: a SanaTransformer2DModel."""

    @property
    def text_width(self) -> int:
        """D of the text that it attends to."""
        return self.denoiser.config.caption_channels

    def predict(self, latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        """The transformer's raw output, float32 as the latents are between the steps."""
        count, channels = latents_NCHW.shape[:2]
        return self.denoiser(
            latents_NCHW.to(self.denoiser.dtype),
            encoder_hidden_states=inputs.embeds_NLD,
            encoder_attention_mask=inputs.mask_NL,
            timestep=t.expand(count) * self.denoiser.config.timestep_scale,
            return_dict=False,
        )[0][:, :channels].float()
