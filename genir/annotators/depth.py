"""Depth by any model of transformers' depth estimation: Depth Anything V2, DPT, ZoeDepth, Depth Pro, ...

Depth Anything V2: Yang et al. 2024 (arXiv 2406.09414). Whether a model predicts disparity or distance is not in its
files; `selfcheck` finds it out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genir.annotators.label import Predict, View
from genir.annotators.pretrained import half_on, images, load


def depth_estimation(path: Path, device: torch.device) -> Predict:
    """Depth, picture by picture; raises ModelError."""
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    what = "depth backend depth_estimation"
    processor: Any = load(AutoImageProcessor, path, what)
    model: Any = load(AutoModelForDepthEstimation, path, what, dtype=half_on(device)).to(device).eval()

    def predict(views: Sequence[View]) -> list[np.ndarray]:
        found = []
        for view in views:
            inputs = processor(images=images([view]), return_tensors="pt").to(device, model.dtype)
            with torch.inference_mode():
                outputs = model(**inputs)
            if "ZoeDepth" in type(processor).__name__:
                found.append(_unpadded(outputs.predicted_depth[0], view.size_HW, processor.do_pad).cpu().numpy())
                continue
            (depth,) = processor.post_process_depth_estimation(outputs, target_sizes=[view.size_HW])
            found.append(depth["predicted_depth"].float().cpu().numpy())
        return found

    return predict


def _unpadded(depth_HW: Tensor, size_HW: tuple[int, int], padded: bool) -> Tensor:
    """What ZoeDepth's processor does to its padding; its own code needs torchvision."""
    pads = [int(math.sqrt(side / 2) * 3) if padded else 0 for side in size_HW]
    around = [side + 2 * pad for side, pad in zip(size_HW, pads, strict=True)]
    whole_HW = F.interpolate(depth_HW[None, None].float(), around, mode="bicubic")[0, 0]
    return whole_HW[pads[0] : pads[0] + size_HW[0], pads[1] : pads[1] + size_HW[1]]
