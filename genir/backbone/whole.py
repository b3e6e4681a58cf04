"""Families that genir does not tune: their pipeline's own call makes the images, and nothing else is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from genir.backbone.adapter import Adapter
from genir.errors import ModelError, Stopped
from genir.records import Conditioning

if TYPE_CHECKING:
    from genir.backbone.encoders import Encoded
    from genir.backbone.guidance import DenoiserInput, Guidance
    from genir.backbone.sdxl import Micro


@dataclass(frozen=True)
class WholePipeline(Adapter):
    """A pipeline of diffusers instead of a family's adapter."""

    family: str
    pipeline: Any

    @property
    def text_width(self) -> int:
        """Not known: no vectors are learned for it."""
        return 0

    def merge(self, said: Sequence[Encoded]) -> Encoded:
        """Refused: the pipeline encodes the prompts itself."""
        self.refuse("encode prompts apart from its pipeline")

    def inputs(
        self, conditioning: Conditioning, size_HW: tuple[int, int], micro: Micro | Sequence[Micro], negative: bool
    ) -> DenoiserInput:
        """Refused: the pipeline makes its own."""
        self.refuse("learn")

    def predict(self, latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        """Refused: the pipeline has its own loop."""
        self.refuse("learn")

    def timing(self, scheduler: Any, steps: int, latent_HW: tuple[int, int]) -> dict[str, Any]:
        """Refused: the pipeline has its own loop."""
        self.refuse("learn")

    def refuse(self, what: str) -> NoReturn:
        """Raise ModelError."""
        raise ModelError(f"family {self.family} only generates: genir cannot {what} with it")

    def generate(
        self,
        positive: Conditioning,
        negative: Conditioning | None,
        *,
        size_HW: tuple[int, int],
        seeds: Sequence[int],
        steps: int,
        guidance: Guidance,
        should_stop: Callable[[], bool],
    ) -> tuple[Tensor, list[bool]]:
        """(uint8 RGB images (N, 3, H, W) on the CPU, for each image: was a value not finite?), each image from its own
        CPU generator.

        Raises Stopped after a step when `should_stop()` says so; ConfigError for guidance that a pipeline cannot do.
        """
        guidance.check_scale_alone(self.family)

        def stop(pipeline: Any, step: int, t: Any, found: dict[str, Any]) -> dict[str, Any]:
            if should_stop():
                raise Stopped(f"asked to stop after denoising step {step} of {steps}")
            return found

        scale = "true_cfg_scale" if self.family == "qwenimage" else "guidance_scale"
        sides: dict[str, Any] = {"prompt": list(positive.texts)}
        if negative is not None and guidance.scale > 1:
            sides["negative_prompt"] = list(negative.texts)
        self.pipeline.set_progress_bar_config(disable=True)
        floats_NCHW = self.pipeline(
            **sides,
            **{scale: guidance.scale},
            height=size_HW[0],
            width=size_HW[1],
            num_inference_steps=steps,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            output_type="pt",
            callback_on_step_end=stop,
        ).images.float()
        finite_N1HW = torch.isfinite(floats_NCHW).all(dim=1, keepdim=True)
        pixels_NCHW = (torch.where(finite_N1HW, floats_NCHW.clamp(0, 1), 0.0) * 255).round().to(torch.uint8).cpu()
        return pixels_NCHW, [not bool(finite.all()) for finite in finite_N1HW]
