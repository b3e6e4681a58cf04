"""Depth, normals and albedo by diffusers' Marigold pipelines.

Sources: Ke et al. 2024 (arXiv 2312.02145), and the same authors' models for normals and intrinsics (2505.09358). Every
picture begins with the same noise, so that a label depends on the picture alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genir.annotators.label import Predict, View
from genir.annotators.pretrained import half_on, images, load
from genir.errors import ModelError

_NOISE = 0


def marigold_depth(path: Path, options: Mapping[str, Any], device: torch.device) -> Predict:
    """Affine distance 0..1; raises ModelError."""
    from diffusers import MarigoldDepthPipeline

    pipeline = load(MarigoldDepthPipeline, path, "depth backend marigold", dtype=half_on(device))
    return _predictor(pipeline, options, device, lambda found_NHWC: found_NHWC[0, ..., 0])


def marigold_normals(path: Path, options: Mapping[str, Any], device: torch.device) -> Predict:
    """Normals -1..1; raises ModelError."""
    from diffusers import MarigoldNormalsPipeline

    pipeline = load(MarigoldNormalsPipeline, path, "normal backend marigold", dtype=half_on(device))
    return _predictor(pipeline, options, device, lambda found_NHWC: found_NHWC[0].transpose(2, 0, 1))


def marigold_albedo(path: Path, options: Mapping[str, Any], device: torch.device) -> Predict:
    """The albedo among the intrinsics that the model predicts, as display values; raises ModelError."""
    from diffusers import MarigoldIntrinsicsPipeline

    what = "albedo backend marigold"
    pipeline = load(MarigoldIntrinsicsPipeline, path, what, dtype=half_on(device))
    properties = pipeline.target_properties or {}
    names = list(properties.get("target_names", ()))
    if "albedo" not in names:
        raise ModelError(f"{what}: {path} predicts {', '.join(names) or 'nothing that it names'}, no albedo")
    number = names.index("albedo")
    about = properties.get("albedo") or {}
    linear = about.get("prediction_space", "srgb") == "linear"

    def albedo(found_NHWC: np.ndarray) -> np.ndarray:
        albedo_CHW = found_NHWC[number].transpose(2, 0, 1)
        return np.clip(albedo_CHW, 0, 1) ** (1 / 2.2) if linear else albedo_CHW

    return _predictor(pipeline, options, device, albedo)


def _predictor(
    pipeline: Any, options: Mapping[str, Any], device: torch.device, take: Callable[[np.ndarray], np.ndarray]
) -> Predict:
    pipeline = pipeline.to(device)
    pipeline.set_progress_bar_config(disable=True)

    def predict(views: Sequence[View]) -> list[np.ndarray]:
        found = []
        for image in images(views):
            made = pipeline(
                image,
                num_inference_steps=options["steps"],
                ensemble_size=options["ensemble"],
                generator=torch.Generator().manual_seed(_NOISE),
            )
            found.append(take(made.prediction).astype(np.float32))
        return found

    return predict
