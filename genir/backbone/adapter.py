"""What a family tells genir's loop: how its denoiser is asked, and what it is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genir.backbone.guidance import DenoiserInput
from genir.backbone.text import side_by_side
from genir.records import Conditioning

if TYPE_CHECKING:
    from genir.backbone.encoders import Encoded
    from genir.backbone.sdxl import Micro


@dataclass(frozen=True)
class Adapter(ABC):
    """One family's denoiser; a family says what differs."""

    denoiser: Any
    """A UNet or a transformer of diffusers."""

    @property
    def channels(self) -> int:
        """C of its latents."""
        return self.denoiser.config.in_channels

    @property
    @abstractmethod
    def text_width(self) -> int:
        """D of the text that it attends to."""

    @property
    def pooled_width(self) -> int | None:
        """P of the pooled text vector; None for a family without one."""
        return None

    def merge(self, said: Sequence[Encoded]) -> Encoded:
        """What the denoiser is told of what the text encoders say, in their order."""
        return side_by_side(said)

    def inputs(
        self, conditioning: Conditioning, size_HW: tuple[int, int], micro: Micro | Sequence[Micro], negative: bool
    ) -> DenoiserInput:
        """Everything that it is told of one side: text, pooled vector and mask, of the denoiser's dtype."""
        dtype = self.denoiser.dtype
        pooled_NP = None if conditioning.pooled_NP is None else conditioning.pooled_NP.to(dtype)
        return DenoiserInput(conditioning.embeds_NLD.to(dtype), pooled_NP, mask_NL=conditioning.mask_NL)

    @abstractmethod
    def predict(self, latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        """The denoiser's raw output, shaped as the latents; `t` is one time for all images or one each."""

    def timing(self, scheduler: Any, steps: int, latent_HW: tuple[int, int]) -> dict[str, Any]:
        """What the sampler is told beside the number of steps, as the family's pipeline does."""
        return {}


def scale_embedding(scale_N: Tensor | None, width: int | None, dtype: torch.dtype) -> Tensor | None:
    """The guidance scale as a distilled UNet is told it (Luo et al. 2023, section 4.2): sines and cosines (N, width) of
    1000 (scale - 1); None for a UNet without that input.
    """
    if scale_N is None or width is None:
        return None
    half = width // 2
    # float32 until the end: half precision knows an angle of some thousands to a few turns only
    steps = torch.arange(half, dtype=torch.float32, device=scale_N.device)
    rates = torch.exp(steps * -(torch.log(torch.tensor(10000.0)) / (half - 1)))
    angles = (scale_N - 1).float()[:, None] * 1000.0 * rates[None, :]
    return torch.nn.functional.pad(torch.cat([angles.sin(), angles.cos()], dim=1), (0, width % 2)).to(dtype)


def dynamic_shift(scheduler: Any, tokens: int) -> dict[str, float]:
    """`mu` for a sampler whose shift depends on the number of image tokens (Esser et al. 2024, section 5.3.2)."""
    config = scheduler.config
    if not config.get("use_dynamic_shifting"):
        return {}
    low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    base, top = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    slope = (top - base) / (high - low)
    return {"mu": tokens * slope + base - slope * low}
