"""Load a text-to-image model with diffusers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from genir import embedded
from genir.backbone import attention as attention_kernels
from genir.backbone import files, lora, schedulers
from genir.backbone.hub import Found
from genir.backbone.model import Backbone
from genir.backbone.quiet import quiet
from genir.backbone.sdxl import StableDiffusionXL
from genir.backbone.stable_diffusion import StableDiffusion
from genir.backbone.text import ClipEncoder, TextEncoders
from genir.errors import ModelError

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

Parts = dict[str, Any]
"""Component name -> loaded object."""


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
    """A model from a folder, a hub id, a single file (with `config`: where its component configs are) or `embedded`.

    `dtype` auto is float32 on a CPU and float16 elsewhere. `vae` is the folder or hub id of another autoencoder,
    `scheduler` a mapping {name, option: value ...}, `loras` entries {id | path, weight, file} fused in order.
    No safety checker is loaded. Raises ModelError for anything that cannot be found, read or used.
    """
    target = _device(device)
    number_type = _dtype(dtype, target)
    found = files.find(id, revision=revision, variant=variant)
    lora_files = [(files.find_lora(entry), _weight(entry)) for entry in loras]
    vae_found = files.find_vae(vae, variant=variant) if vae else None
    attention_kernels.hide_xformers()
    with quiet():
        if found.kind == "file":
            index, parts = _from_file(found, config, number_type)
        else:
            index, parts = _from_folder(found, variant, number_type, skip_vae=vae_found is not None)
        if vae_found is not None:
            parts["vae"] = _vae(vae_found, variant, number_type)
        family = files.FAMILIES[index["_class_name"]]
        if scheduler:
            parts["scheduler"] = schedulers.named(parts["scheduler"], scheduler)
        for path, weight in lora_files:
            lora.fuse(pipeline(family, parts), path, weight, str(path))
        _settle(id, family, parts, target)
        adapter = StableDiffusionXL(parts["unet"]) if family == "sdxl" else StableDiffusion(parts["unet"])
        kernel = attention_kernels.use(parts["unet"], attention, target)
    return Backbone(
        id=id,
        family=family,
        adapter=adapter,
        text=_text(family, parts),
        vae=parts["vae"],
        scheduler=parts["scheduler"],
        pipeline=pipeline(family, parts),
        zero_empty=family == "sdxl" and bool(index.get("force_zeros_for_empty_prompt", True)),
        licence=_licence(found),
        attention=kernel,
    )


def pipeline(family: str, parts: Parts) -> Any:
    """The diffusers pipeline around loaded components, without a safety checker."""
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

    if family == "sdxl":
        return StableDiffusionXLPipeline(**parts, add_watermarker=False)
    return StableDiffusionPipeline(
        **parts, safety_checker=None, feature_extractor=None, image_encoder=None, requires_safety_checker=False
    )


def _from_folder(found: Found, variant: str | None, dtype: torch.dtype, skip_vae: bool) -> tuple[Parts, Parts]:
    index = files.read_index(found.id, found.path)
    parts: Parts = {}
    for component in files.COMPONENTS[files.FAMILIES[index["_class_name"]]]:
        if component == "vae" and skip_vae:
            continue
        cls = _class(found.id, component, index[component][1])
        options: dict[str, Any] = {}
        if component in files.WEIGHTS:
            options = {"variant": files.weight_variant(found.path, component, variant), _dtype_key(component): dtype}
        try:
            parts[component] = cls.from_pretrained(found.path / component, **options)
        except Exception as error:  # noqa: BLE001  three libraries read these files, each with errors of its own
            raise ModelError(f"model {found.id}: {component} cannot be loaded: {_first_line(error)}") from error
    return index, parts


def _dtype_key(component: str) -> str:
    return "dtype" if component.startswith("text_encoder") else "torch_dtype"


def _class(id: str, component: str, name: str) -> Any:
    import diffusers
    import transformers

    if component == "vae" and id == "embedded":
        return embedded.autoencoder_class()
    cls = getattr(diffusers, name, None) or getattr(transformers, name, None)
    if cls is None:
        raise ModelError(f"model {id}: {component} is a {name}, which the installed diffusers does not have")
    return cls


def _from_file(found: Found, config: str | None, dtype: torch.dtype) -> tuple[Parts, Parts]:
    import diffusers

    source = files.find_config(config or _default_config(found))
    index = files.read_index(source.id, source.path)
    none = {} if index["_class_name"] == "StableDiffusionXLPipeline" else {"safety_checker": None}
    try:
        loaded = getattr(diffusers, index["_class_name"]).from_single_file(
            str(found.path), config=str(source.path), torch_dtype=dtype, local_files_only=True, **none
        )
    except Exception as error:  # noqa: BLE001  a checkpoint may hold anything
        raise ModelError(
            f"model {found.id}: cannot be loaded with the configs of {source.id}: {_first_line(error)}; "
            "model.config must be the same kind of model"
        ) from error
    wanted = files.COMPONENTS[files.FAMILIES[index["_class_name"]]]
    return index, {component: loaded.components[component] for component in wanted}


def _default_config(found: Found) -> str:
    from diffusers.loaders.single_file_utils import fetch_diffusers_config, load_single_file_checkpoint

    try:
        return fetch_diffusers_config(load_single_file_checkpoint(str(found.path)))["pretrained_model_name_or_path"]
    except Exception as error:  # noqa: BLE001  a checkpoint may hold anything
        raise ModelError(f"model {found.id}: not a checkpoint diffusers knows: {_first_line(error)}") from error


def _vae(found: Found, variant: str | None, dtype: torch.dtype) -> Any:
    import diffusers

    cls = getattr(diffusers, files.read_json(found.path / "config.json", f"vae {found.id}")["_class_name"])
    try:
        return cls.from_pretrained(found.path, variant=files.weight_variant(found.path, "", variant), torch_dtype=dtype)
    except Exception as error:  # noqa: BLE001  as for the other components
        raise ModelError(f"vae {found.id}: cannot be loaded: {_first_line(error)}") from error


def _settle(id: str, family: str, parts: Parts, device: torch.device) -> None:
    """Check that the parts fit, freeze them and move them to the device."""
    unet, vae = parts["unet"], parts["vae"]
    if unet.config.in_channels != vae.config.latent_channels:
        channels = f"{unet.config.in_channels} channels in, its autoencoder {vae.config.latent_channels}"
        raise ModelError(f"model {id}: the UNet takes {channels}; inpainting and edit models are not supported")
    if unet.config.time_cond_proj_dim is not None:
        raise ModelError(f"model {id}: the UNet is distilled with a guidance input, which is not supported")
    for name in files.WEIGHTS:
        if name in parts:
            parts[name].requires_grad_(False).eval().to(device)
    if family == "sdxl" and vae.dtype == torch.float16 and vae.config.get("force_upcast", False):
        vae.to(torch.float32)  # SDXL's own autoencoder overflows in float16


def _text(family: str, parts: Parts) -> TextEncoders:
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


def _licence(found: Found) -> str:
    """`license` of the model card's front matter; "unknown" without one."""
    folder = found.path.parent if found.kind == "file" or found.id == "embedded" else found.path
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    front = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    fields = dict(re.findall(r"^(license\w*):[ \t]*(\S.*?)[ \t]*$", front[1] if front else "", re.MULTILINE))
    name = fields.get("license", "unknown").strip("'\"")
    return fields["license_name"].strip("'\"") if name == "other" and "license_name" in fields else name


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
