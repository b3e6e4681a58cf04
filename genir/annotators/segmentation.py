"""The twelve classes by a model of ADE20K's 150: OneFormer, Mask2Former, SegFormer, or another of transformers.

Sources: Jain et al. 2023 (arXiv 2211.06220), Cheng et al. 2022 (arXiv 2112.01527), Xie et al. 2021 (arXiv 2105.15203).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genir.annotators.label import Predict, View
from genir.annotators.pretrained import half_on, images, load
from genir.annotators.segments import TO_TWELVE, is_ade20k
from genir.errors import ModelError


def ade20k(path: Path, device: torch.device) -> Predict:
    """Classes 0..11, picture by picture; raises ModelError, also for a model of other classes than ADE20K's."""
    import transformers

    what = "segmentation backend ade20k"
    config = load(transformers.AutoConfig, path, what)
    if not is_ade20k(config.id2label):
        names = ", ".join(str(config.id2label[key]) for key in list(config.id2label)[:4])
        raise ModelError(f"{what}: {path} knows {len(config.id2label)} classes ({names}, ...), not ADE20K's 150")
    task, kind, reader = _classes(transformers, config, path, what)
    processor = load(reader, path, what)
    # deformable attention has no half precision
    dtype = half_on(device) if config.model_type == "segformer" else torch.float32
    model: Any = load(kind, path, what, dtype=dtype).to(device).eval()

    def predict(views: Sequence[View]) -> list[np.ndarray]:
        found = []
        for view in views:
            inputs = processor(images=images([view]), return_tensors="pt", **task).to(device)
            inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
            with torch.inference_mode():
                outputs = model(**inputs)
            (classes_HW,) = processor.post_process_semantic_segmentation(outputs, target_sizes=[view.size_HW])
            found.append(TO_TWELVE[classes_HW.cpu().numpy() + 1])
        return found

    return predict


def _classes(transformers: Any, config: Any, path: Path, what: str) -> tuple[dict[str, Any], Any, Any]:
    """What the processor is told, the class of the model and that of its processor."""
    if config.model_type == "oneformer":
        kind, reader = transformers.OneFormerForUniversalSegmentation, transformers.OneFormerProcessor
        return {"task_inputs": ["semantic"]}, kind, reader
    kinds = {
        "mask2former": transformers.Mask2FormerForUniversalSegmentation,
        "maskformer": transformers.MaskFormerForInstanceSegmentation,
        "segformer": transformers.SegformerForSemanticSegmentation,
        "upernet": transformers.UperNetForSemanticSegmentation,
    }
    if config.model_type not in kinds:
        known = ", ".join(["oneformer", *kinds])
        raise ModelError(f"{what}: {path} is a {config.model_type}; known: {known}")
    return {}, kinds[config.model_type], transformers.AutoImageProcessor
