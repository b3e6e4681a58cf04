"""Load a text-to-image model with diffusers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from genir.backbone import attention as attention_kernels
from genir.backbone import components, families, files, lora, schedulers, weights
from genir.backbone.about import Geometry, geometry, is_told_scale
from genir.backbone.adapter import Adapter
from genir.backbone.encoders import ClipEncoder, Encoder, SequenceEncoder
from genir.backbone.flux import Flux
from genir.backbone.hub import Found
from genir.backbone.licences import licence
from genir.backbone.model import Backbone
from genir.backbone.pixart import PixArt
from genir.backbone.quiet import quiet
from genir.backbone.sana import Sana
from genir.backbone.sd3 import StableDiffusion3
from genir.backbone.sdxl import StableDiffusionXL
from genir.backbone.stable_diffusion import StableDiffusion
from genir.backbone.text import TextEncoders
from genir.backbone.tokenizers import Reader, prompt_tokenizer, readers
from genir.backbone.whole import WholePipeline
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
    chunks: int = 1,
) -> Backbone:
    """A model from a folder, a hub id, a single file or `embedded`.

    `config` is the folder or hub id with the component configs of a single file. `dtype` auto is float32 on
    a CPU and the family's half precision elsewhere. `vae` is the folder or hub id of another autoencoder, `scheduler`
    a mapping {name, option: value ...}, `loras` entries {id | path, weight, file} fused in order; `chunks` says
    how many times 75 tokens Stable Diffusion's and SDXL's CLIP reads of a prompt. No safety checker is loaded. Raises
    ModelError for anything that cannot be found, read or used.
    """
    target = _device(device)
    _check_dtype(dtype)
    found = files.find(id, revision=revision, variant=variant)
    attention_kernels.check(attention)
    lora_files = [(_weight(entry), files.find_lora(entry)) for entry in loras]
    vae_found = files.find_vae(vae, variant=variant) if vae else None
    attention_kernels.hide_xformers()
    with quiet():
        number_type = _dtype(dtype, target, found, config)
        index, parts = _parts(found, config, variant, number_type, vae_found)
        family = families.BY_PIPELINE[index["_class_name"]]
        if scheduler:
            parts["scheduler"] = schedulers.named(parts["scheduler"], scheduler)
        for weight, path in lora_files:
            lora.fuse(components.pipeline(family, parts), path, weight, name=str(path))
        _settle(id, family, parts, target)
        kernel = attention_kernels.use(parts[families.FAMILIES[family].denoiser], attention, target)
    return _backbone(found, family, index, parts, kernel, chunks)


def _backbone(
    found: Found, family: str, index: components.Parts, parts: components.Parts, kernel: str, chunks: int
) -> Backbone:
    denoiser = parts[families.FAMILIES[family].denoiser]
    sizes = geometry(family, denoiser.config, parts["vae"].config)
    wanted = readers(family, parts, is_told_scale(denoiser.config))
    if families.FAMILIES[family].tuned:
        adapter: Adapter = _adapter(family, denoiser, sizes)
        text = TextEncoders([_encoder(reader, parts, chunks) for reader in wanted], adapter.merge)
    else:
        adapter = WholePipeline(denoiser, family, components.pipeline(family, parts))
        read = [prompt_tokenizer(reader, parts[f"tokenizer{reader.suffix}"], 0, chunks) for reader in wanted]
        text = TextEncoders([], adapter.merge, read)
    return Backbone(
        id=found.id,
        family=family,
        adapter=adapter,
        geometry=sizes,
        text=text,
        vae=parts["vae"],
        scheduler=parts["scheduler"],
        make_pipeline=partial(components.pipeline, family, parts),
        zero_empty=family == "sdxl" and bool(index.get("force_zeros_for_empty_prompt", True)),
        licence=licence(found),
        attention=kernel,
    )


def _adapter(family: str, denoiser: Any, sizes: Geometry) -> Adapter:
    if family.startswith("pixart"):
        return PixArt(denoiser, sizes.factor)
    plain = {"sd": StableDiffusion, "sdxl": StableDiffusionXL, "sd3": StableDiffusion3, "flux": Flux, "sana": Sana}
    return plain[family](denoiser)


def _encoder(reader: Reader, parts: components.Parts, chunks: int) -> Encoder:
    cls = ClipEncoder if reader.layer else SequenceEncoder
    return cls(reader, parts[f"tokenizer{reader.suffix}"], parts[f"text_encoder{reader.suffix}"], chunks)


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
    name = families.FAMILIES[family].denoiser
    denoiser, vae = parts[name], parts["vae"]
    packed = 4 if family in ("flux", "qwenimage") else 1  # patches of 2 x 2 are channels there
    taken, made = denoiser.config.in_channels // packed, vae.config.get("latent_channels", vae.config.get("z_dim"))
    if taken != made:
        what = f"{name if name != 'unet' else 'UNet'} takes {taken} channels in, its autoencoder {made}"
        raise ModelError(f"model {id}: the {what}; inpainting and edit models are not supported")
    for name in weights.COMPONENTS:
        if name in parts:
            parts[name].requires_grad_(False).eval().to(device)
    if family == "sdxl" and vae.dtype == torch.float16 and vae.config.get("force_upcast", False):
        vae.to(torch.float32)  # SDXL's own autoencoder overflows in float16


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


def _check_dtype(name: str) -> None:
    if name != "auto" and name not in DTYPES:
        raise ModelError(f"dtype {name!r}; allowed: auto, {', '.join(DTYPES)}")


def _dtype(name: str, device: torch.device, found: Found, config: str | None) -> torch.dtype:
    if name != "auto":
        return DTYPES[name]
    if device.type == "cpu":
        return torch.float32
    if found.kind == "file":
        if config is None:
            return torch.float16
        found = files.find_config(config)
    index = files.read_index(found.id, found.path)
    return DTYPES[families.FAMILIES[families.BY_PIPELINE[index["_class_name"]]].half]
