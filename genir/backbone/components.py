"""Components of a model read with diffusers and transformers."""

from __future__ import annotations

from typing import Any

import torch

from genir import embedded
from genir.backbone import families, files, weights
from genir.backbone.hub import Found
from genir.errors import ModelError

Parts = dict[str, Any]
"""Component name -> loaded object."""


def pipeline(family: str, parts: Parts) -> Any:
    """The diffusers pipeline around loaded components, without a safety checker."""
    import diffusers

    described = families.FAMILIES[family]
    options: dict[str, Any] = {name: None for name in described.optional if name not in parts}
    if family == "sd":
        absent = dict.fromkeys(("safety_checker", "feature_extractor", "image_encoder"))
        options = {**absent, "requires_safety_checker": False}
    elif family == "sdxl":
        options = {"add_watermarker": False}
    return getattr(diffusers, described.pipeline)(**parts, **options)


def from_folder(found: Found, variant: str | None, dtype: torch.dtype, skip_vae: bool) -> tuple[Parts, Parts]:
    """(model_index.json, components) of a folder that `files.find` has accepted; raises ModelError."""
    index = files.read_index(found.id, found.path)
    parts: Parts = {}
    for component in families.components(index):
        if component == "vae" and skip_vae:
            continue
        cls = _class(found.id, component, index[component][1])
        options: dict[str, Any] = {}
        if component in weights.COMPONENTS:
            options = {
                "variant": weights.variant_of(found.path, component, variant),
                _dtype_key(component): dtype,
            }
        try:
            parts[component] = cls.from_pretrained(found.path / component, **options)
        except Exception as error:  # three libraries read these files, each with errors of its own
            raise ModelError(f"model {found.id}: {component} cannot be loaded: {_first_line(error)}") from error
    return index, parts


def _dtype_key(component: str) -> str:
    return "dtype" if component.startswith("text_encoder") else "torch_dtype"


def _class(id: str, component: str, name: str) -> Any:
    import diffusers
    import transformers

    if name == embedded.AUTOENCODER:
        return embedded.autoencoder_class()
    cls = getattr(diffusers, name, None) or getattr(transformers, name, None)
    if cls is None:
        raise ModelError(f"model {id}: {component} is a {name}, which the installed diffusers does not have")
    return cls


def from_file(found: Found, config: str | None, dtype: torch.dtype) -> tuple[Parts, Parts]:
    """(model_index.json of `config`, components) of a single-file checkpoint; raises ModelError."""
    import diffusers

    source = files.find_config(config) if config else _default_config(found)
    index = files.read_index(source.id, source.path)
    none = {"safety_checker": None} if index["_class_name"] == "StableDiffusionPipeline" else {}
    try:
        loaded = getattr(diffusers, index["_class_name"]).from_single_file(
            str(found.path), config=str(source.path), torch_dtype=dtype, local_files_only=True, **none
        )
    except Exception as error:  # a checkpoint may hold anything
        raise ModelError(
            f"model {found.id}: cannot be loaded with the configs of {source.id}: {_first_line(error)}; "
            "model.config must be the same kind of model"
        ) from error
    return index, {component: loaded.components[component] for component in families.components(index)}


def _default_config(found: Found) -> Found:
    from diffusers.loaders.single_file_utils import fetch_diffusers_config, load_single_file_checkpoint

    try:
        guess = fetch_diffusers_config(load_single_file_checkpoint(str(found.path)))
    except Exception as error:  # a checkpoint may hold anything
        raise ModelError(f"model {found.id}: not a checkpoint diffusers knows: {_first_line(error)}") from error
    try:
        return files.find_config(guess["pretrained_model_name_or_path"])
    except ModelError as error:
        raise ModelError(f"model {found.id}: set model.config to a folder with its configs ({error})") from error


def autoencoder(found: Found, variant: str | None, dtype: torch.dtype) -> Any:
    """An autoencoder that `files.find_vae` has accepted; raises ModelError."""
    name = files.read_json(found.path / "config.json", f"vae {found.id}")["_class_name"]
    cls = _class(found.id, "vae", name)
    try:
        return cls.from_pretrained(found.path, variant=weights.variant_of(found.path, "", variant), torch_dtype=dtype)
    except Exception as error:  # as for the other components
        raise ModelError(f"vae {found.id}: cannot be loaded: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
