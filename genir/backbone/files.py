"""Which files a model consists of, what they hash to, and whether genir knows its family (no torch, no
diffusers).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from genir.backbone import families, hub, weights
from genir.backbone.hashes import sha256_once
from genir.backbone.hub import Found
from genir.errors import ModelError

_SMALL = (".json", ".txt", ".model", ".jinja")
"""What the files of tokenizers and schedulers end in."""


def find(id: str, *, revision: str | None = None, variant: str | None = None) -> Found:
    """Find a model, complete and of a known family (a single file: its existence only).

    Raises ModelError: nothing there, offline, unknown family, unknown component class, missing files.
    """
    found = hub.find(id, partial(_needed, id, variant), revision=revision)
    if found.kind == "folder":
        _needed(id, variant, hub.names(found.path), found.path)
    return found


def find_vae(id: str, *, variant: str | None = None) -> Found:
    """Find another autoencoder: a folder or hub id with config.json and weights; raises ModelError."""
    choose = partial(_needed_vae, id, variant)
    found = hub.find(id, choose, what="vae")
    if found.kind == "file":
        raise ModelError(f"vae {id}: a single file; give a folder or hub id with config.json and weights")
    choose(hub.names(found.path), found.path)
    return found


def find_config(id: str) -> Found:
    """Find the folder or hub id that gives the component configs and tokenizers of a single file; raises
    ModelError.
    """
    choose = partial(_needed_configs, id)
    found = hub.find(id, choose, what="model.config")
    if found.kind == "file":
        raise ModelError(f"model.config {id}: a single file; give a folder or hub id in diffusers' layout")
    choose(hub.names(found.path), found.path)
    return found


def find_lora(lora: Mapping[str, Any]) -> Path:
    """The .safetensors file of one entry {id | path, weight, file}; raises ModelError."""
    id = lora.get("path") or lora.get("id")
    if not id or not set(lora) <= {"id", "path", "weight", "file"}:
        raise ModelError(f"lora {dict(lora)}: allowed keys: id or path, weight (1.0), file (name within the folder)")
    choose = partial(_lora_files, str(id), lora.get("file"))
    found = hub.find(str(id), choose, what="lora")
    if found.kind == "file":
        return found.path
    return found.path / choose(hub.names(found.path), found.path)[0]


def chooser(kind: str, id: str, variant: str | None = None) -> hub.Choose:
    """Which files of a hub repository are needed: of a "model", "vae", "lora", "model.config", or anything else."""
    known: dict[str, hub.Choose] = {
        "model": partial(_needed, id, variant),
        "vae": partial(_needed_vae, id, variant),
        "lora": partial(_lora_files, id, None),
        "model.config": partial(_needed_configs, id),
    }
    return known.get(kind, partial(weights.of_transformers, id))


def read_index(id: str, folder: Path) -> dict[str, Any]:
    """model_index.json of a folder whose family and component classes genir knows; raises ModelError."""
    index = read_json(folder / "model_index.json", f"model {id}")
    name = index.get("_class_name")
    if name not in families.BY_PIPELINE:
        raise ModelError(f"model {id}: family {name} is not supported; known: {', '.join(families.BY_PIPELINE)}")
    family = families.FAMILIES[families.BY_PIPELINE[name]]
    for component, allowed in family.components.items():
        given = (index.get(component) or [None, None])[1]
        if given is None and component in family.optional:
            continue
        if given is None:
            raise ModelError(f"model {id}: model_index.json has no {component}, which {name} needs")
        if allowed and given not in allowed:
            raise ModelError(f"model {id}: {component} is of class {given}; known: {', '.join(allowed)}")
    return index


def identity(
    id: str,
    *,
    revision: str | None = None,
    variant: str | None = None,
    vae: str | None = None,
    loras: Sequence[Mapping[str, Any]] = (),
    config: str | None = None,
) -> dict[str, str]:
    """Relative file name -> SHA-256 (hex) of every file that decides what the model computes.

    Files of another autoencoder are named `vae:...`, LoRAs `lora0:...`, the configs of a single file
    `config:...`. A file in a hub cache whose blob is named by its SHA-256 is not read. Raises ModelError as
    `find` does.
    """
    found = find(id, revision=revision, variant=variant)
    if found.kind == "file":
        paths = {found.path.name: found.path}
        if config:
            source = find_config(config).path
            paths |= {f"config:{n}": source / n for n in _needed_configs(config, hub.names(source), source)}
    else:
        skip = ("vae/",) if vae else ()
        listed = _needed(id, variant, hub.names(found.path), found.path)
        paths = {name: found.path / name for name in listed if not name.startswith(skip)}
    if vae:
        other = find_vae(vae, variant=variant).path
        paths |= {f"vae:{n}": other / n for n in _needed_vae(vae, variant, hub.names(other), other)}
    for number, lora in enumerate(loras):
        path = find_lora(lora)
        paths[f"lora{number}:{path.name}"] = path
    return {name: _sha256(path) for name, path in sorted(paths.items())}


def model_hash(hashes: Mapping[str, str]) -> str:
    """One SHA-256 over the denoiser, text encoders and tokenizers (or the single file) of an `identity`.

    Autoencoder, scheduler and LoRAs are left out: a learned pair stays valid with others.
    """
    own = [f"{name} {value}" for name, value in sorted(hashes.items()) if _is_model(name)]
    return hashlib.sha256("\n".join(own).encode()).hexdigest()


def _is_model(name: str) -> bool:
    return ":" not in name and not name.startswith(("vae/", "scheduler/", "model_index.json"))


def _needed(id: str, variant: str | None, listing: Iterable[str], folder: Path | None) -> list[str]:
    """Names that a model consists of; raises ModelError for what is missing."""
    listing = list(listing)
    if folder is None or "model_index.json" not in listing:
        raise ModelError(f"model {id}: no model_index.json; give a folder or hub id in diffusers' layout")
    index = read_index(id, folder)
    wanted = ["model_index.json"]
    for component in families.components(index):
        if component in weights.COMPONENTS:
            wanted += _component_files(id, component, variant, listing)
        else:
            wanted += _small_files(id, component, listing)
    if variant and not any(weights.chosen(c, listing, variant) for c in weights.COMPONENTS):
        raise ModelError(f"model {id}: no weights of variant {variant!r}; {weights.variants_there(listing)}")
    if id == "embedded":
        wanted += [name for name in listing if name.startswith("vae/") and name.endswith(".py")]
    return sorted(wanted)


def _component_files(id: str, component: str, variant: str | None, listing: list[str]) -> list[str]:
    config = f"{component}/config.json"
    names = weights.chosen(component, listing, variant) or weights.chosen(component, listing, None)
    missing = [] if config in listing else [config]
    if not names:
        stem = weights.stems(component)[0]
        missing.append(f"{component}/{stem}.safetensors ({weights.variants_there(listing)})")
    if missing:
        raise ModelError(f"model {id}: missing {', '.join(missing)}; complete the download")
    return [config, *names]


def _small_files(id: str, component: str, listing: list[str]) -> list[str]:
    there = [name for name in listing if name.startswith(f"{component}/") and name.endswith(_SMALL)]
    names = {Path(name).name for name in there}
    if component == "scheduler":
        options = [{"scheduler_config.json"}]
    else:
        options = [{"tokenizer.json"}, {"vocab.json", "merges.txt"}, {"spiece.model"}, {"tokenizer.model"}]
    if not any(option <= names for option in options):
        files = " or ".join(" + ".join(f"{component}/{name}" for name in sorted(option)) for option in options)
        raise ModelError(f"model {id}: missing {files}; complete the download")
    return there


def _needed_vae(id: str, variant: str | None, listing: Iterable[str], folder: Path | None) -> list[str]:
    listing = list(listing)
    if folder is None or "config.json" not in listing:
        raise ModelError(f"vae {id}: no config.json; give a folder or hub id with config.json and weights beside it")
    name = read_json(folder / "config.json", f"vae {id}").get("_class_name")
    if name not in families.AUTOENCODERS:
        raise ModelError(f"vae {id}: class {name} is not supported; known: {', '.join(families.AUTOENCODERS)}")
    listed = [f"vae/{entry}" for entry in listing if "/" not in entry]
    return [file.removeprefix("vae/") for file in _component_files(id, "vae", variant, listed)]


def _needed_configs(id: str, listing: Iterable[str], folder: Path | None) -> list[str]:
    if folder is None or "model_index.json" not in (listing := list(listing)):
        raise ModelError(f"model.config {id}: no model_index.json; give a folder or hub id in diffusers' layout")
    wanted = ["model_index.json"]
    for component in families.components(read_index(id, folder)):
        if component in weights.COMPONENTS:
            if f"{component}/config.json" not in listing:
                raise ModelError(f"model.config {id}: missing {component}/config.json")
            wanted.append(f"{component}/config.json")
        else:
            wanted += _small_files(id, component, listing)
    return sorted(wanted)


def _lora_files(id: str, file: str | None, listing: Iterable[str], folder: Path | None) -> list[str]:
    there = [name for name in listing if name.endswith(".safetensors")]
    chosen = [name for name in there if file is None or name == file]
    if len(chosen) != 1:
        raise ModelError(f"lora {id}: name one file; there are: {', '.join(there) or 'no .safetensors files'}")
    return chosen


def read_json(path: Path, what: str) -> dict[str, Any]:
    """A JSON object from a file; raises ModelError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{what}: {path.name} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{what}: {path.name} is not a JSON object")
    return value


def _sha256(path: Path) -> str:
    blob = path.resolve().name
    if path.is_symlink() and re.fullmatch(r"[0-9a-f]{64}", blob):
        return blob  # a hub cache names large files by their SHA-256
    return sha256_once(path)
