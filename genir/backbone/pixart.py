"""PixArt-alpha and PixArt-Sigma: a transformer told of a T5's text by masked cross-attention."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genir.backbone.adapter import Adapter
from genir.backbone.guidance import DenoiserInput


@dataclass(frozen=True)
class PixArt(Adapter):
    """Adapter of the families `pixart_alpha` and `pixart_sigma`: a PixArtTransformer2DModel."""

    factor: int
    """Pixels per latent position."""

    @property
    def text_width(self) -> int:
        """D of the text that it attends to."""
        return self.denoiser.config.caption_channels

    def predict(self, latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        """The transformer's raw output, without the variance that it also predicts."""
        count, channels, rows, columns = latents_NCHW.shape
        added = {"resolution": None, "aspect_ratio": None}
        if self.denoiser.use_additional_conditions:  # PixArt-alpha at 1024 pixels
            size = torch.tensor([[rows * self.factor, columns * self.factor]]).to(latents_NCHW)
            added = {"resolution": size.repeat(count, 1), "aspect_ratio": (size[:, :1] / size[:, 1:]).repeat(count, 1)}
        return self.denoiser(
            latents_NCHW,
            encoder_hidden_states=inputs.embeds_NLD,
            encoder_attention_mask=inputs.mask_NL,
            timestep=t.expand(count),
            added_cond_kwargs=added,
            return_dict=False,
        )[0][:, :channels]
