"""The small model that travels in the package: where it and its learned pairs lie, the class of its autoencoder.

This is the only seam to it: a better model replaces the folder `model/` (diffusers' layout) and, if it needs
one, the autoencoder file beside the weights.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

AUTOENCODER = "PatchAutoencoder"
"""Class name of its autoencoder in model_index.json, here and in models that were trained on from it."""

_MODULE = "genir_embedded_autoencoder"


def folder() -> Path:
    """The model's folder, in diffusers' layout."""
    return Path(__file__).parent / "model"


def hq_folder() -> Path:
    """The small captioned HQ set (metadata.jsonl and 54 images), in Hugging Face's imagefolder layout."""
    return Path(__file__).parent / "hq"


def dual_files() -> dict[str, Path]:
    """Name -> file of the learned pairs for the model: `embedded` in tokens mode, `embedded-output`."""
    folder = Path(__file__).parent / "dual"
    return {"embedded": folder / "tokens.safetensors", "embedded-output": folder / "output.safetensors"}


def autoencoder_class() -> type:
    """The class of the model's autoencoder, imported from the file beside its weights (imports diffusers)."""
    return getattr(_module(folder() / "vae" / "patch_autoencoder.py"), AUTOENCODER)


def _module(path: Path) -> ModuleType:
    if _MODULE not in sys.modules:
        spec = importlib.util.spec_from_file_location(_MODULE, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"cannot import {path}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[_MODULE] = module  # dataclasses look their module up while it is executed
        spec.loader.exec_module(module)
    return sys.modules[_MODULE]
