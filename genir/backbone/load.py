"""Load a text-to-image model with diffusers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from genir.backbone import attention as attention_kernels
from genir.backbone import components, files, hub, lora, schedulers, weights
from genir.backbone.hub import Found
from genir.backbone.model import Backbone
from genir.backbone.quiet import quiet
from genir.backbone.sdxl import StableDiffusionXL
from genir.backbone.stable_diffusion import StableDiffusion
from genir.backbone.text import ClipEncoder, TextEncoders
from genir.errors import ModelError

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def load(
    id: str,
    *,
    revision: str | None = None,
    variant: str | None = None,
    dtype: str = "auto",
    vae: str | None = None,
    scheduler: Mapping[str, Any] | None = None,
    loras: Sequence[Mapping[str, Any]] = (),
    config: str | None = None,
    device: str | torch.device = "cpu",
    attention: attention_kernels.Attention = "auto",
) -> Backbone:
    """A model from a folder, a hub id, a single file or `embedded`.

    `config` is the folder or hub id with the component configs of a single file. `dtype` auto is float32 on
    a CPU and float16 elsewhere. `vae` is the folder or hub id of another autoencoder, `scheduler` a mapping
    {name, option: value ...}, `loras` entries {id | path, weight, file} fused in order. No safety checker is
    loaded. Raises ModelError for anything that cannot be found, read or used.
    """
    target = _device(device)
    number_type = _dtype(dtype, target)
    found = files.find(id, revision=revision, variant=variant)
    attention_kernels.check(attention)
    lora_files = [(_weight(entry), files.find_lora(entry)) for entry in loras]
    vae_found = files.find_vae(vae, variant=variant) if vae else None
    attention_kernels.hide_xformers()
    with quiet():
        index, parts = _parts(found, config, variant, number_type, vae_found)
        family = files.FAMILIES[index["_class_name"]]
        if scheduler:
            parts["scheduler"] = schedulers.named(parts["scheduler"], scheduler)
        for weight, path in lora_files:
            lora.fuse(components.pipeline(family, parts), path, weight, str(path))
        _settle(id, family, parts, target)
        kernel = attention_kernels.use(parts["unet"], attention, target)
    return _backbone(found, family, index, parts, kernel)


def _backbone(found: Found, family: str, index: components.Parts, parts: components.Parts, kernel: str) -> Backbone:
    return Backbone(
        id=found.id,
        family=family,
        adapter=StableDiffusionXL(parts["unet"]) if family == "sdxl" else StableDiffusion(parts["unet"]),
        text=_text(family, parts),
        vae=parts["vae"],
        scheduler=parts["scheduler"],
        make_pipeline=partial(components.pipeline, family, parts),
        zero_empty=family == "sdxl" and bool(index.get("force_zeros_for_empty_prompt", True)),
        licence=hub.licence(found),
        attention=kernel,
    )


def _parts(
    found: Found, config: str | None, variant: str | None, dtype: torch.dtype, vae: Found | None
) -> tuple[components.Parts, components.Parts]:
    if found.kind == "file":
        index, parts = components.from_file(found, config, dtype)
    else:
        index, parts = components.from_folder(found, variant, dtype, skip_vae=vae is not None)
    if vae is not None:
        parts["vae"] = components.autoencoder(vae, variant, dtype)
    return index, parts


def _settle(id: str, family: str, parts: components.Parts, device: torch.device) -> None:
    """Check that the parts fit, freeze them and move them to the device."""
    unet, vae = parts["unet"], parts["vae"]
    if unet.config.in_channels != vae.config.latent_channels:
        channels = f"{unet.config.in_channels} channels in, its autoencoder {vae.config.latent_channels}"
        raise ModelError(f"model {id}: the UNet takes {channels}; inpainting and edit models are not supported")
    if unet.config.time_cond_proj_dim is not None:
        raise ModelError(f"model {id}: the UNet is distilled with a guidance input, which is not supported")
    for name in weights.COMPONENTS:
        if name in parts:
            parts[name].requires_grad_(False).eval().to(device)
    if family == "sdxl" and vae.dtype == torch.float16 and vae.config.get("force_upcast", False):
        vae.to(torch.float32)  # SDXL's own autoencoder overflows in float16


def _text(family: str, parts: components.Parts) -> TextEncoders:
    if family == "sd":
        return TextEncoders([ClipEncoder("clip_l", parts["tokenizer"], parts["text_encoder"], "last")])
    return TextEncoders(
        [
            ClipEncoder("clip_l", parts["tokenizer"], parts["text_encoder"], "penultimate"),
            ClipEncoder("clip_g", parts["tokenizer_2"], parts["text_encoder_2"], "penultimate"),
        ]
    )


def _weight(entry: Mapping[str, Any]) -> float:
    weight = entry.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise ModelError(f"lora {entry.get('path') or entry.get('id')}: weight {weight!r} is not a number")
    return float(weight)


def _device(device: str | torch.device) -> torch.device:
    try:
        target = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"device {device!r}: not known; allowed: cpu, cuda, cuda:N, mps, xpu") from error
    if target.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device {device}: this machine has no CUDA device that torch can use; allowed here: cpu")
    return target


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.float16
    if name not in DTYPES:
        raise ModelError(f"dtype {name!r}; allowed: auto, {', '.join(DTYPES)}")
    return DTYPES[name]
