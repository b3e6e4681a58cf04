"""NIQE: how far the statistics of an image's patches are from those of sharp photographs.

Source: Mittal, Soundararajan, Bovik, "Making a 'Completely Blind' Image Quality Analyzer", Signal
Processing Letters 2013. The method is the paper's; the parameters are NOT the published ones: `niqe_96` and
`niqe_32` were fitted by tools/fit_niqe.py on a few openly licensed photographs (weights/README.md). Scores
order images of one size; they must not be compared with NIQE numbers in papers, nor `niqe_96` with
`niqe_32`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from genir.errors import GenirError, ImageError, ModelError
from genir.metrics.mscn import Contrast
from genir.metrics.nss import FEATURES, patch_features

SHIPPED = ("niqe_32", "niqe_96")
LEAST_PATCHES = 4
SHARPNESS_SHARE = 0.75
"""The fit uses patches at least this sharp relative to the sharpest patch of their image (section II.B)."""

_WEIGHTS = Path(__file__).parent / "weights"
_MAKE_ONE = "make one with tools/fit_niqe.py"


@dataclass(frozen=True, slots=True)
class NiqeModel:
    """Multivariate Gaussian of the patch features of pristine images."""

    mean_36: Tensor
    """float64."""
    covariance_36x36: Tensor
    """float64, positive definite."""
    patch: int
    """Side of a patch in pixels, even."""
    name: str
    source: str
    """What it was fitted on: pictures, licences, size, number of patches."""


def niqe(images: Tensor | Contrast, model: NiqeModel) -> Tensor:
    """uint8 RGB 0..255 (N, 3, H, W) -> NIQE scores (N,), float32, 0.. , lower is better; never NaN.

    sqrt((m - v)^T ((S + C) / 2)^-1 (m - v)) of the model's m, S and the image's mean v and covariance C
    over all its whole patches (eq. 11 of the paper). Raises GenirError for another dtype or shape and for
    images with fewer than four patches.
    """
    contrast = Contrast.of(images)
    gray_NHW = contrast.gray(model.name)
    _check_size(gray_NHW, model.patch, model.name)
    features_NKD, _ = patch_features(contrast, model.patch)
    mean_ND = features_NKD.mean(dim=1)
    centred = features_NKD - mean_ND[:, None]
    covariance_NDD = centred.transpose(1, 2) @ centred / (features_NKD.shape[1] - 1)
    pooled_NDD = (model.covariance_36x36.to(gray_NHW.device) + covariance_NDD) / 2
    gap_ND1 = (model.mean_36.to(gray_NHW.device) - mean_ND)[..., None]
    square_N = (gap_ND1 * torch.linalg.solve(pooled_NDD, gap_ND1)).sum(dim=(1, 2))
    return square_N.clamp(min=0).sqrt().float()


def fit(images: Iterable[Tensor], patch: int, name: str = "niqe", source: str = "") -> NiqeModel:
    """Batches of pristine images, uint8 RGB (N, 3, H, W) of any sizes -> the Gaussian of their sharp patches.

    Raises GenirError for images without four patches, an odd `patch`, and for fewer than 72 sharp patches
    in all (twice the number of features): their covariance would not be usable.
    """
    if patch % 2 or patch < 16:
        raise GenirError(f"{name}: patch is {patch} pixels, but an even number of at least 16 is needed")
    sharp: list[Tensor] = []
    for images_NCHW in images:
        contrast = Contrast(images_NCHW)
        _check_size(contrast.gray(name), patch, name)
        features_NKD, sharpness_NK = patch_features(contrast, patch)
        peak_N1 = sharpness_NK.amax(dim=1, keepdim=True)
        sharp.append(features_NKD[(sharpness_NK >= SHARPNESS_SHARE * peak_N1) & (peak_N1 > 0)].cpu())
    features_KD = torch.cat(sharp) if sharp else torch.empty(0, FEATURES)
    if len(features_KD) < 2 * FEATURES:
        raise GenirError(
            f"{name}: the images give {len(features_KD)} sharp patches of {patch} pixels, but"
            f" {2 * FEATURES} are needed: add photographs"
        )
    about = f"{source}; {len(features_KD)} patches of {patch} px".lstrip("; ")
    return NiqeModel(features_KD.mean(dim=0), features_KD.T.cov(), patch, name, about)


def load_model(name: str) -> NiqeModel:
    """Shipped model "niqe_96" (for images of about 1024 pixels), "niqe_32" (128), or a `save_model` file.

    Raises ModelError when there is no such model or the file is not one.
    """
    path = _path(name)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            mean_36, covariance = file.get_tensor("mean"), file.get_tensor("covariance")
    except (OSError, SafetensorError) as error:
        raise ModelError(f"NIQE model {path} cannot be read ({error}): {_MAKE_ONE}") from error
    if mean_36.shape != (FEATURES,) or covariance.shape != (FEATURES, FEATURES) or "patch" not in header:
        raise ModelError(f"NIQE model {path} lacks `patch` or has the wrong shapes: {_MAKE_ONE}")
    patch, source = int(header["patch"]), header.get("source", "")
    return NiqeModel(mean_36.double(), covariance.double(), patch, header.get("name", name), source)


def save_model(model: NiqeModel, path: Path, header: dict[str, str] | None = None) -> None:
    """Write a safetensors file; `header` is added to its metadata."""
    about = {**(header or {}), "name": model.name, "patch": str(model.patch), "source": model.source}
    save_file({"mean": model.mean_36, "covariance": model.covariance_36x36.contiguous()}, path, metadata=about)


def weights_sha256(name: str) -> str:
    """SHA-256 (hex) of the file that `load_model(name)` reads."""
    return hashlib.sha256(_path(name).read_bytes()).hexdigest()


def _path(name: str) -> Path:
    if name in SHIPPED:
        return _WEIGHTS / f"{name}.safetensors"
    if name.endswith(".safetensors"):
        return Path(name)
    allowed = ", ".join(SHIPPED)
    raise ModelError(f"NIQE model is {name!r}, but one of {allowed} or a .safetensors file is needed")


def _check_size(gray_NHW: Tensor, patch: int, name: str) -> None:
    height, width = gray_NHW.shape[1:]
    patches = (height // patch) * (width // patch)
    if patches < LEAST_PATCHES:
        smaller = ", or niqe_32 (configs/generate_embedded.yaml has gates for small images)" if patch > 32 else ""
        raise ImageError(
            f"{name}: images of {height}x{width} pixels (height x width) hold {patches} patches of {patch}"
            f" pixels, but {LEAST_PATCHES} are needed: use images of at least {2 * patch}x{2 * patch}{smaller}"
        )
