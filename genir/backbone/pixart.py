"""PixArt-alpha and PixArt-Sigma: a transformer told of a T5's text by masked cross-attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genir.backbone.adapter import told
from genir.backbone.guidance import DenoiserInput
from genir.backbone.text import side_by_side
from genir.records import Conditioning

if TYPE_CHECKING:
    from genir.backbone.encoders import Encoded
    from genir.backbone.sdxl import Micro


@dataclass(frozen=True)
class PixArt:
    """Adapter of the families `pixart_alpha` and `pixart_sigma`."""

    denoiser: Any
    """A PixArtTransformer2DModel."""
    factor: int
    """Pixels per latent position."""

    @property
    def channels(self) -> int:
        """C of its latents."""
        return self.denoiser.config.in_channels

    @property
    def text_width(self) -> int:
        """D of the text that it attends to."""
        return self.denoiser.config.caption_channels

    @property
    def pooled_width(self) -> int | None:
        """This family has no pooled vector."""
        return None

    def merge(self, said: Sequence[Encoded]) -> Encoded:
        """The T5's states and mask."""
        return side_by_side(said)

    def inputs(
        self, conditioning: Conditioning, size_HW: tuple[int, int], micro: Micro | Sequence[Micro], negative: bool
    ) -> DenoiserInput:
        """Text and mask."""
        return told(conditioning, self.denoiser.dtype)

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

    def timing(self, scheduler: Any, steps: int, latent_HW: tuple[int, int]) -> dict[str, Any]:
        """Nothing."""
        return {}
