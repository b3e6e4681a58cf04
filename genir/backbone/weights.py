"""Which weight files a component has: variants, shards, safetensors before .bin (no torch)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from genir.errors import ModelError

COMPONENTS = ("unet", "transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3")
"""Components that have weights."""


def stems(component: str) -> tuple[str, ...]:
    """Names of a component's weight file without its suffix, the usual one first."""
    return ("model", "pytorch_model") if component.startswith("text_encoder") else ("diffusion_pytorch_model",)


def chosen(component: str, listing: Iterable[str], variant: str | None) -> list[str]:
    """Weight files of one component among the names of a listing, shards and their index included.

    `component` "" stands for the folder itself. Empty when a shard or everything is missing.
    """
    tag = rf"\.{re.escape(variant)}" if variant else ""
    names = "|".join(stems(component))
    prefix = f"{component}/" if component else ""
    for suffix in ("safetensors", "bin"):
        shard = re.compile(rf"{prefix}(?:{names})(?:{tag}-(\d+)-of-(\d+)|-(\d+)-of-(\d+){tag}|{tag})\.{suffix}")
        index = re.compile(rf"{prefix}(?:{names})\.{suffix}\.index{tag}\.json")
        matches = [(name, found) for name in listing if (found := shard.fullmatch(name))]
        single = [name for name, found in matches if not any(found.groups())]
        if single:
            return single
        shards = [name for name, _ in matches]
        total = {int(found[2] or found[4]) for _, found in matches}
        if shards and total == {len(shards)}:
            return shards + [name for name in listing if index.fullmatch(name)]
    return []


def of_transformers(id: str, listing: Iterable[str], folder: Path | None) -> list[str]:
    """What transformers reads of a repository: settings, and the weights in one format; raises ModelError."""
    top = [name for name in listing if "/" not in name]
    small = [name for name in top if name.endswith((".json", ".txt", ".model", ".jinja"))]
    for suffix in ("safetensors", "bin", "pth", "pt", "onnx"):
        pattern = re.compile(rf"(?!consolidated)[\w-]+(\.(?!fp16|bf16)[\w-]+)?\.{suffix}")
        if found := [name for name in top if pattern.fullmatch(name)]:
            return sorted({*small, *found})
    raise ModelError(f"model {id}: no weights (.safetensors, .bin, .pth, .pt, .onnx) in it")


def variant_of(folder: Path, component: str, variant: str | None) -> str | None:
    """`variant` where a component has it, else None: its plain weights."""
    prefix = f"{component}/" if component else ""
    listed = [f"{prefix}{path.name}" for path in (folder / component).iterdir()]
    return variant if variant and chosen(component, listed, variant) else None


def variants_there(listing: Iterable[str]) -> str:
    """The variants of a listing, for an error message."""
    names = "model|pytorch_model|diffusion_pytorch_model"
    pattern = re.compile(rf".*/(?:{names})\.([A-Za-z]\w*?)(?:-\d+-of-\d+)?\.(?:safetensors|bin)")
    there = sorted({found[1] for name in listing if (found := pattern.fullmatch(name))})
    return f"variants there: {', '.join(there)}: set model.variant" if there else "no other variants there"
