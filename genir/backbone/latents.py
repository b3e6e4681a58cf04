"""Pixels to latents and back, one image at a time: memory and bytes do not depend on the batch."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genir.backbone.tiles import blended

log = logging.getLogger("genir")


def decode(vae: Any, latents_NCHW: Tensor, tile: int | None = None) -> tuple[Tensor, list[bool]]:
    """(uint8 RGB images (N, 3, H, W) on the CPU, for each image: was any value NaN or infinite?).

    Pixels with such a value are black. An image that overflows in half precision is decoded again in float32. With
    `tile` (latent positions of a side) larger images are decoded in overlapping tiles: less memory, other bytes.
    """
    images, broken = [], []
    for latents_1CHW in latents_NCHW.split(1):
        floats_CHW = _decoded(vae, latents_1CHW, tile)[0].float()
        finite_HW = torch.isfinite(floats_CHW).all(dim=0)
        broken.append(not bool(finite_HW.all()))
        unit_CHW = (floats_CHW / 2 + 0.5).clamp(0, 1)
        images.append((torch.where(finite_HW, unit_CHW, 0.0) * 255).round().to(torch.uint8).cpu())
    return torch.stack(images), broken


def _decoded(vae: Any, latents_1CHW: Tensor, tile: int | None) -> Tensor:
    floats_1CHW = _in_tiles(vae, latents_1CHW, tile)
    dtype = vae.dtype
    if dtype == torch.float32 or torch.isfinite(floats_1CHW).all() or not torch.isfinite(latents_1CHW).all():
        return floats_1CHW  # of latents that are not finite nothing better can be made
    _tell_of_overflow(type(vae).__name__, str(dtype).removeprefix("torch."))
    vae.to(torch.float32)
    try:
        return _in_tiles(vae, latents_1CHW, tile)
    finally:
        vae.to(dtype)  # the bytes of an image must not depend on the images before it


def _in_tiles(vae: Any, latents_1CHW: Tensor, tile: int | None) -> Tensor:
    if tile is None or max(latents_1CHW.shape[-2:]) <= tile:
        return decode_floats(vae, latents_1CHW)
    return blended(lambda part_1CHW: decode_floats(vae, part_1CHW), latents_1CHW, (tile, tile))


@functools.cache
def _tell_of_overflow(vae: str, dtype: str) -> None:
    """Once a process: a model that overflows does so for many images."""
    log.warning(
        "%s overflows in %s: such images are decoded again in float32, which takes longer; model.vae can name an "
        "autoencoder that does not, or model.dtype=bfloat16",
        vae,
        dtype,
    )


def decode_floats(vae: Any, latents_NCHW: Tensor) -> Tensor:
    """Decoder output (N, 3, H, W), about -1..1, of the denoiser's latents."""
    latents_NCHW = latents_NCHW.to(vae.dtype)
    mean_std = _mean_std(vae, latents_NCHW)
    scale = vae.config.scaling_factor
    if mean_std is not None:
        mean_C11, std_C11 = mean_std
        raw_NCHW = latents_NCHW * std_C11 / scale + mean_C11
    else:
        raw_NCHW = latents_NCHW / scale + (getattr(vae.config, "shift_factor", None) or 0.0)
    return vae.decode(raw_NCHW, return_dict=False)[0]


def encode(vae: Any, images_NCHW: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Latents (N, C, H / f, W / f) as the denoiser knows them, float32, of uint8 RGB images.

    An autoencoder with a distribution is sampled with each image's own CPU generator.
    """
    rows = []
    for image_CHW, generator in zip(images_NCHW, generators, strict=True):
        pixels_1CHW = image_CHW[None].to(vae.device, torch.float32) / 127.5 - 1
        encoded = vae.encode(pixels_1CHW.to(vae.dtype))
        if hasattr(encoded, "latent_dist"):
            posterior = encoded.latent_dist
            noise_1CHW = torch.randn(posterior.mean.shape, generator=generator)
            raw_1CHW = posterior.mean + posterior.std * noise_1CHW.to(posterior.mean)
        else:
            raw_1CHW = encoded.latent if hasattr(encoded, "latent") else encoded.latents
        rows.append(_scaled(vae, raw_1CHW.float()))
    return torch.cat(rows)


def _scaled(vae: Any, raw_NCHW: Tensor) -> Tensor:
    scale = vae.config.scaling_factor
    mean_std = _mean_std(vae, raw_NCHW)
    if mean_std is not None:
        mean_C11, std_C11 = mean_std
        return (raw_NCHW - mean_C11) * scale / std_C11
    return (raw_NCHW - (getattr(vae.config, "shift_factor", None) or 0.0)) * scale


def _mean_std(vae: Any, like_NCHW: Tensor) -> tuple[Tensor, Tensor] | None:
    mean = getattr(vae.config, "latents_mean", None)
    std = getattr(vae.config, "latents_std", None)
    if mean is None or std is None:
        return None
    return torch.tensor(mean).view(-1, 1, 1).to(like_NCHW), torch.tensor(std).view(-1, 1, 1).to(like_NCHW)
