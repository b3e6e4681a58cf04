"""Stable Diffusion 1.x and 2.x: a UNet told of the text by cross-attention alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from genir.backbone.guidance import DenoiserInput
from genir.records import Conditioning

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

    from genir.backbone.sdxl import Micro


@dataclass(frozen=True)
class StableDiffusion:
    """Adapter of the `sd` family."""

    unet: UNet2DConditionModel

    def inputs(
        self, conditioning: Conditioning, size_HW: tuple[int, int], micro: Micro | Sequence[Micro], negative: bool
    ) -> DenoiserInput:
        """What the UNet is told; this family has no size conditioning."""
        return DenoiserInput(conditioning.embeds_NLD.to(self.unet.dtype))

    def predict(self, latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        """The UNet's raw output."""
        return self.unet(latents_NCHW, t, encoder_hidden_states=inputs.embeds_NLD, return_dict=False)[0]
