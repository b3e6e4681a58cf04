"""Stable Diffusion 1.x and 2.x: a UNet told of the text by cross-attention alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from genir.backbone.adapter import scale_embedding, told
from genir.backbone.guidance import DenoiserInput
from genir.backbone.text import side_by_side
from genir.records import Conditioning

if TYPE_CHECKING:
    from genir.backbone.encoders import Encoded
    from genir.backbone.sdxl import Micro


@dataclass(frozen=True)
class StableDiffusion:
    """Adapter of the `sd` family."""

    denoiser: Any
    """A UNet2DConditionModel."""

    @property
    def channels(self) -> int:
        """C of its latents."""
        return self.denoiser.config.in_channels

    @property
    def text_width(self) -> int:
        """D of the text that it attends to."""
        return self.denoiser.config.cross_attention_dim

    @property
    def pooled_width(self) -> int | None:
        """This family has no pooled vector."""
        return None

    def merge(self, said: Sequence[Encoded]) -> Encoded:
        """The one encoder's states."""
        return side_by_side(said)

    def inputs(
        self, conditioning: Conditioning, size_HW: tuple[int, int], micro: Micro | Sequence[Micro], negative: bool
    ) -> DenoiserInput:
        """What the UNet is told; this family has no size conditioning."""
        return told(conditioning, self.denoiser.dtype)

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

    def timing(self, scheduler: Any, steps: int, latent_HW: tuple[int, int]) -> dict[str, Any]:
        """Nothing."""
        return {}
