"""An autoencoder whose latents are the principal components of 8 x 8 pixel patches.

The encoder is one linear map, so latents keep the fine detail that tells a sharp picture from a degraded
one, and a mirrored picture has mirrored latents up to the sign of half of the channels. The decoder is
the transposed map plus a small convolutional residual that restores what the dropped components lost and
hides the patch borders.

The file travels beside the weights: it needs torch and diffusers only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput
from torch import Tensor, nn
from torch.nn import functional as F

PATCH = 8


@dataclass
class PatchEncoderOutput(BaseOutput):
    """Latents (N, Z, H/8, W/8)."""

    latents: Tensor


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Let a convolution start at zero."""
    for weights in layer.parameters():
        nn.init.zeros_(weights)
    return layer


class _Residual(nn.Module):
    """Two 3 x 3 convolutions around a skip; starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = _zero(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """Linear patch encoder, linear plus residual decoder; images are (N, 3, H, W) in -1..1, H and W
    multiples of 8.

    `block_out_channels` is there for pipelines that read the scale factor 8 from its length.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 32,
        widths: tuple[int, int, int] = (128, 64, 32),
        depths: tuple[int, int, int] = (3, 2, 2),
        block_out_channels: tuple[int, ...] = (1, 1, 1, 1),
        scaling_factor: float = 1.0,
        sample_size: int = 128,
        force_upcast: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, latent_channels, PATCH, stride=PATCH)
        self.decoder = nn.ConvTranspose2d(latent_channels, 3, PATCH, stride=PATCH)
        a, b, c = widths
        self.residual = nn.Sequential(
            nn.Conv2d(latent_channels, a, 3, padding=1),
            *[_Residual(a) for _ in range(depths[0])],
            nn.Conv2d(a, 4 * b, 1),
            nn.PixelShuffle(2),
            *[_Residual(b) for _ in range(depths[1])],
            nn.Conv2d(b, 4 * c, 1),
            nn.PixelShuffle(2),
            *[_Residual(c) for _ in range(depths[2])],
            nn.SiLU(),
            _zero(nn.Conv2d(c, 12, 3, padding=1)),
            nn.PixelShuffle(2),
        )

    def encode(self, x: Tensor, return_dict: bool = True) -> PatchEncoderOutput | tuple[Tensor]:
        """Images to latents; there is no distribution to sample from."""
        latents = self.encoder(x)
        return PatchEncoderOutput(latents=latents) if return_dict else (latents,)

    def decode(
        self, z: Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput | tuple[Tensor]:
        """Latents to images; nothing is random, `generator` is accepted because pipelines pass it."""
        images = self.decoder(z) + self.residual(z)
        return DecoderOutput(sample=images) if return_dict else (images,)

    def forward(self, sample: Tensor, return_dict: bool = True) -> DecoderOutput | tuple[Tensor]:
        """Encode and decode."""
        return self.decode(self.encoder(sample), return_dict)
