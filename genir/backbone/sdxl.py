"""Stable Diffusion XL: two text encoders, a pooled text vector, and size and crop micro-conditioning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genir.backbone.adapter import Adapter, scale_embedding
from genir.backbone.guidance import DenoiserInput
from genir.errors import ModelError
from genir.records import Conditioning

Size = tuple[int, int]


@dataclass(frozen=True)
class Micro:
    """Size and crop conditioning (Podell et al. 2023, section 2.2) of each side, in pixels as (H, W) or (top,
    left).

    None means the image's own size on the positive side, and on the negative one what the positive side is told:
    guidance would push away from every difference between the two.
    """

    original: Size | None = None
    crop: Size = (0, 0)
    target: Size | None = None
    negative_original: Size | None = None
    negative_crop: Size | None = None
    negative_target: Size | None = None

    def time_ids(self, size_HW: Size, negative: bool) -> list[int]:
        """The six numbers of one side: original, crop, target."""
        original, crop, target = self.original or size_HW, self.crop, self.target or size_HW
        if negative:
            original, target = self.negative_original or original, self.negative_target or target
            crop = crop if self.negative_crop is None else self.negative_crop
        return [*original, *crop, *target]


@dataclass(frozen=True)
class StableDiffusionXL(Adapter):
    """Adapter of the `sdxl` family: a UNet2DConditionModel."""

    @property
    def text_width(self) -> int:
        """D of the text that it attends to."""
        return self.denoiser.config.cross_attention_dim

    @property
    def pooled_width(self) -> int | None:
        """P of the second encoder's projected vector."""
        config = self.denoiser.config
        return config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim

    def inputs(
        self, conditioning: Conditioning, size_HW: tuple[int, int], micro: Micro | Sequence[Micro], negative: bool
    ) -> DenoiserInput:
        """Text, pooled text and time ids of one side, with one `micro` for all images or one each; raises ModelError
        for conditioning without a pooled vector.
        """
        if conditioning.pooled_NP is None:
            raise ModelError("SDXL conditioning needs a pooled text vector; encode it with this backbone")
        dtype, device = self.denoiser.dtype, conditioning.embeds_NLD.device
        micros = [micro] * conditioning.embeds_NLD.shape[0] if isinstance(micro, Micro) else micro
        time_ids = [one.time_ids(size_HW, negative) for one in micros]
        time_ids_N6 = torch.tensor(time_ids, dtype=dtype, device=device)
        return DenoiserInput(conditioning.embeds_NLD.to(dtype), conditioning.pooled_NP.to(dtype), time_ids_N6)

    def predict(self, latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        """The UNet's raw output."""
        added = {"text_embeds": inputs.pooled_NP, "time_ids": inputs.time_ids_N6}
        width = self.denoiser.config.time_cond_proj_dim
        return self.denoiser(
            latents_NCHW,
            t,
            encoder_hidden_states=inputs.embeds_NLD,
            timestep_cond=scale_embedding(inputs.scale_N, width, latents_NCHW.dtype),
            added_cond_kwargs=added,
            return_dict=False,
        )[0]
