"""What the configs of a model say of it: family, sizes, whether it is told the guidance scale (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genir.backbone import families, files
from genir.backbone.licences import Licence, licence


@dataclass(frozen=True)
class Geometry:
    """Sizes in pixels that a model can make."""

    native_HW: tuple[int, int]
    """What the denoiser was trained at."""
    multiple: int
    """Heights and widths must be multiples of this."""
    factor: int
    """Pixels per latent position."""


@dataclass(frozen=True)
class About:
    """A model before its weights are loaded."""

    family: str
    """Key of `families.FAMILIES`."""
    geometry: Geometry
    is_told_scale: bool
    """Was the denoiser distilled with guidance, whose scale it is told (FLUX.1-dev, LCM)?"""
    licence: Licence


def about(
    id: str, *, revision: str | None = None, variant: str | None = None, config: str | None = None
) -> About | None:
    """Read the configs; None for a single file without `config`. Raises ModelError as `files.find` does."""
    found = files.find(id, revision=revision, variant=variant)
    owned = licence(found)
    if found.kind == "file":
        if config is None:
            return None
        found = files.find_config(config)
    name = families.BY_PIPELINE[files.read_index(found.id, found.path)["_class_name"]]
    denoiser, vae = (
        files.read_json(found.path / part / "config.json", f"model {id}")
        for part in (families.FAMILIES[name].denoiser, "vae")
    )
    return About(name, geometry(name, denoiser, vae), is_told_scale(denoiser), owned)


def is_told_scale(denoiser: Mapping[str, Any]) -> bool:
    """Does the denoiser of this config take the guidance scale as an input?"""
    return denoiser.get("time_cond_proj_dim") is not None or bool(denoiser.get("guidance_embeds"))


def geometry(family: str, denoiser: Mapping[str, Any], vae: Mapping[str, Any]) -> Geometry:
    """Sizes from the two configs."""
    factor = 2 ** _halvings(vae)
    native = {"flux": 128, "qwenimage": 128, "zimage": 128}.get(family) or denoiser.get("sample_size") or 64
    rows, columns = (native, native) if isinstance(native, int) else native
    # Latents are cut into patches of 2 x 2 by the pipelines of these families, whatever their config says
    patch = (
        1 if family in ("sd", "sdxl") else 2 if family in ("flux", "qwenimage", "zimage") else denoiser["patch_size"]
    )
    return Geometry((rows * factor, columns * factor), factor * patch, factor)


def _halvings(vae: Mapping[str, Any]) -> int:
    if "temperal_downsample" in vae:  # Qwen-Image's spelling
        return len(vae["temperal_downsample"])
    blocks = vae.get("block_out_channels") or vae["encoder_block_out_channels"]
    return len(blocks) - 1
