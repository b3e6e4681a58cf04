"""The models of a configuration on this machine: where they lie, what their files hash to, under which licence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from genir.annotators.licences import MODELS
from genir.backbone import hub
from genir.backbone.hashes import sha256_once
from genir.errors import ModelError

_SIDE_FILES = re.compile(r"[^/]*\.(json|txt|model|jinja)")
_WEIGHTS = (".safetensors", ".bin")


@dataclass(frozen=True)
class Found:
    """One model."""

    name: str
    """Hub id, or the name of a folder or file."""
    path: Path
    files: Mapping[str, str]
    """Name -> SHA-256 of all that decides what it computes."""
    licence: str
    """ "unknown" where nobody says it."""


def find_model(id: str, revision: str | None, licence: str | None, what: str) -> Found:
    """A folder, or a hub id in the cache (or downloaded); raises ModelError."""
    choose = partial(_needed, id, what)
    found = hub.find(id, choose, revision=revision, what=what)
    if found.kind == "file":
        raise ModelError(f"{what} {id}: is a file; expected a folder or hub id with config and weights")
    names = choose(hub.names(found.path), found.path)
    files = {name: sha256_once(found.path / name) for name in names}
    name = Path(id).name if Path(id).expanduser().is_dir() else id
    said = hub.licence(found)
    return Found(name, found.path, files, licence or (MODELS.get(id, "unknown") if said == "unknown" else said))


def find_file(path: str, licence: str, what: str) -> Found:
    """A weight file; raises ModelError."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise ModelError(f"{what} {path}: no such file; expected weights (.pth, .safetensors)")
    return Found(file.name, file, {file.name: sha256_once(file)}, licence)


def _needed(id: str, what: str, listing: Iterable[str], folder: Path | None) -> list[str]:
    """Configs, vocabularies, and one kind of weights in each folder; raises ModelError where something is missing."""
    names = [name for name in listing if name.count("/") < 2 and name != "README.md"]
    wanted = [name for name in names if _SIDE_FILES.fullmatch(name.rpartition("/")[2])]
    if not any(name in ("config.json", "model_index.json") for name in wanted):
        raise ModelError(f"{what} {id}: no config.json or model_index.json; not a model of transformers or diffusers")
    weights = [name for name in names if name.endswith(_WEIGHTS) and "training_args" not in name]
    by_folder: dict[str, list[str]] = {}
    for name in weights:
        by_folder.setdefault(name.rpartition("/")[0], []).append(name)
    if not by_folder:
        raise ModelError(f"{what} {id}: no weights (.safetensors or .bin)")
    for inside in by_folder.values():
        safe = [name for name in inside if name.endswith(".safetensors")]
        plain = [name for name in safe or inside if not re.search(r"\.(fp16|bf16|non_ema)\.", name)]
        wanted += plain or safe or inside
    return sorted(wanted)


def identity(models: Mapping[str, Found]) -> dict[str, Any]:
    """Role -> file -> SHA-256: what makes two stages' models the same."""
    return {role: dict(model.files) for role, model in models.items()}
