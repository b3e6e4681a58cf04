"""PatchVAE: the embedded model's autoencoder, 8 x 8 pixel patches to latent channels.

A linear patch map (pixel-unshuffle and a 1 x 1 convolution, initialised by PCA) plus a small convolutional
correction on each side. It is deterministic: `encode` gives latents, not a distribution. The surface is that
of diffusers' AutoencoderTiny, so that the Stable Diffusion pipelines run it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput
from torch import Tensor, nn

PATCH = 8
PATCH_VALUES = 3 * PATCH * PATCH


@dataclass
class PatchVAEOutput(BaseOutput):
    """What `PatchVAE.encode` returns."""

    latents: Tensor


class Residual(nn.Module):
    """x + conv(silu(conv(silu(x)))), starting as the identity."""

    def __init__(self, channels: int):
        super().__init__()
        self.a = nn.Conv2d(channels, channels, 3, padding=1)
        self.b = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.b.weight)
        nn.init.zeros_(self.b.bias)  # type: ignore[arg-type]

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Same shape out as in."""
        return x_NCHW + self.b(F.silu(self.a(F.silu(x_NCHW))))


def _upscaling(channels: int, blocks: int, channels_out: int, kernel: int) -> list[nn.Module]:
    body: list[nn.Module] = [Residual(channels) for _ in range(blocks)]
    return [*body, nn.Conv2d(channels, 4 * channels_out, kernel, padding=kernel // 2), nn.PixelShuffle(2)]


class PatchVAE(ModelMixin, ConfigMixin):
    """Pixels -1..1 (N, 3, H, W) <-> latents (N, latent_channels, H / 8, W / 8); H and W multiples of 8."""

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 8,
        enc_width: int = 96,
        dec_widths: tuple[int, int, int] = (128, 64, 32),
        dec_blocks: tuple[int, int, int] = (3, 2, 2),
        block_out_channels: tuple[int, ...] = (1, 1, 1, 1),
        scaling_factor: float = 1.0,
        sample_size: int = 128,
    ):
        super().__init__()
        first, second, third = dec_widths
        self.e_lin = nn.Conv2d(PATCH_VALUES, latent_channels, 1)
        self.d_lin = nn.Conv2d(latent_channels, PATCH_VALUES, 1)
        self.e_net = nn.Sequential(
            nn.Conv2d(PATCH_VALUES, enc_width, 3, padding=1),
            Residual(enc_width),
            Residual(enc_width),
            nn.SiLU(),
            nn.Conv2d(enc_width, latent_channels, 3, padding=1),
        )
        self.d1 = nn.Sequential(
            nn.Conv2d(latent_channels, first, 3, padding=1), *_upscaling(first, dec_blocks[0], second, 1)
        )
        self.d2 = nn.Sequential(*_upscaling(second, dec_blocks[1], third, 1))
        *body, last, shuffle = _upscaling(third, dec_blocks[2], 3, 3)
        self.d3 = nn.Sequential(*body, nn.SiLU(), last, shuffle)

    def encode(self, x: Tensor, return_dict: bool = True) -> PatchVAEOutput | tuple[Tensor]:
        """Latents of pixels -1..1."""
        patches = F.pixel_unshuffle(x, PATCH)
        latents = self.e_lin(patches) + self.e_net(patches)
        return PatchVAEOutput(latents=latents) if return_dict else (latents,)

    def decode(
        self, z: Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput | tuple[Tensor]:
        """Pixels, about -1..1, of latents; the generator is accepted for the pipelines' sake and not used."""
        pixels = F.pixel_shuffle(self.d_lin(z), PATCH) + self.d3(self.d2(self.d1(z)))
        return DecoderOutput(sample=pixels) if return_dict else (pixels,)

    def forward(self, sample: Tensor, return_dict: bool = True) -> DecoderOutput | tuple[Tensor]:
        """Encode and decode."""
        latents = self.encode(sample, return_dict=False)[0]
        return self.decode(latents, return_dict=return_dict)
