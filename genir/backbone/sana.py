"""Sana: a transformer of linear attention over 32 times smaller latents, told of a Gemma's text (Xie et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from genir.backbone.adapter import told
from genir.backbone.guidance import DenoiserInput
from genir.backbone.text import side_by_side
from genir.records import Conditioning

if TYPE_CHECKING:
    from genir.backbone.encoders import Encoded
    from genir.backbone.sdxl import Micro


@dataclass(frozen=True)
class Sana:
    """Adapter of the `sana` family."""

    denoiser: Any
    """A SanaTransformer2DModel."""

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
        """The Gemma's states and mask."""
        return side_by_side(said)

    def inputs(
        self, conditioning: Conditioning, size_HW: tuple[int, int], micro: Micro | Sequence[Micro], negative: bool
    ) -> DenoiserInput:
        """Text and mask."""
        return told(conditioning, self.denoiser.dtype)

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

    def timing(self, scheduler: Any, steps: int, latent_HW: tuple[int, int]) -> dict[str, Any]:
        """Nothing."""
        return {}
