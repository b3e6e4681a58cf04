"""What an objective is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from genir.backbone.sdxl import Micro


@dataclass(frozen=True)
class Examples:
    """N pictures of one role and size, with the noise that is drawn for them; all tensors are on the device."""

    latents_NCHW: Tensor
    """Clean, as the denoiser knows them."""
    captions: tuple[str, ...]
    micro: tuple[Micro, ...]
    noise_NCHW: Tensor
    timesteps_N: Tensor
    """int64, 0 .. num_train_timesteps - 1."""

    def __len__(self) -> int:
        return len(self.captions)
