"""A network in transformers' layout (config.json, weights, processor): found in a folder or on the hub, and hashed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from genir.backbone.hashes import sha256_once
from genir.backbone.hub import find
from genir.errors import ModelError

_TEXTS = (".json", ".txt", ".model")


def locate(id: str, what: str) -> Path:
    """The folder of a network by hub id or folder; raises ModelError, naming `what` asks for it."""

    def choose(names: Iterable[str], folder: Path | None) -> list[str]:
        here = [name for name in names if "/" not in name]
        weights = [name for name in here if name == "model.safetensors" or name.startswith("model-0")]
        weights = [name for name in weights if name.endswith(".safetensors")]
        if "config.json" not in here or not weights:
            raise ModelError(
                f"{what} {id}: holds no config.json with model.safetensors (pickled weights are not loaded)"
            )
        return weights + [name for name in here if name.endswith(_TEXTS)]

    found = find(id, choose, what=what)
    if found.kind != "folder":
        raise ModelError(f"{what} {id}: a folder with config.json and model.safetensors is needed, this is a file")
    choose((path.name for path in found.path.iterdir()), found.path)
    return found.path


def identity(folder: Path) -> dict[str, str]:
    """File -> SHA-256 of all that decides what the network says."""
    files = (path for path in folder.iterdir() if path.name.startswith("model") or path.suffix in _TEXTS)
    return {path.name: sha256_once(path) for path in sorted(files) if path.suffix in (".safetensors", *_TEXTS)}
