"""People by ViTPose in the boxes of a detector (RT-DETR or another of transformers), as OpenPose's points.

Sources: Xu et al. 2022 (arXiv 2204.12484), Zhao et al. 2024 (arXiv 2304.08069).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genir.annotators.label import Predict, View
from genir.annotators.pretrained import half_on, images, load
from genir.annotators.skeleton import openpose_points
from genir.errors import ModelError

_COCO_PLUS = 0  # expert of ViTPose++ models that was trained on COCO


def vitpose(path: Path, detector_path: Path, options: Mapping[str, Any], device: torch.device) -> Predict:
    """Points of the people whose boxes score at least `options["threshold"]`; raises ModelError."""
    from transformers import (
        AutoImageProcessor,
        AutoModelForObjectDetection,
        VitPoseForPoseEstimation,
    )

    what = "openpose backend vitpose"
    reader: Any = load(AutoImageProcessor, path, what)
    model: Any = load(VitPoseForPoseEstimation, path, what, dtype=half_on(device)).to(device).eval()
    finder: Any = load(AutoImageProcessor, detector_path, f"{what}, detector")
    detector: Any = load(AutoModelForObjectDetection, detector_path, f"{what}, detector").to(device).eval()
    people = [number for number, name in detector.config.id2label.items() if str(name).lower() == "person"]
    if not people or model.config.num_labels != 17:
        raise ModelError(
            f"{what}: {detector_path} must know the class person, and {path} COCO's 17 points "
            f"(it has {model.config.num_labels})"
        )
    experts = getattr(model.config.backbone_config, "num_experts", 1) > 1

    def boxes_of(view: View) -> np.ndarray:
        inputs = finder(images=images([view]), return_tensors="pt").to(device)
        with torch.inference_mode():
            outputs = detector(**inputs)
        (found,) = finder.post_process_object_detection(
            outputs, threshold=options["threshold"], target_sizes=[view.size_HW]
        )
        is_person = torch.isin(found["labels"].cpu(), torch.tensor(people))
        boxes_K4 = found["boxes"].float().cpu()[is_person].numpy()
        boxes_K4[:, 2:] -= boxes_K4[:, :2]  # left, top, width, height
        return boxes_K4[(boxes_K4[:, 2:] > 1).all(1)]

    def points_of(view: View) -> np.ndarray:
        boxes_K4 = boxes_of(view)
        if not len(boxes_K4):
            return np.zeros((0, 18, 3), np.float32)
        inputs = reader(images([view]), boxes=[boxes_K4], return_tensors="pt").to(device)
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
        if experts:
            inputs["dataset_index"] = torch.full((len(boxes_K4),), _COCO_PLUS, device=device)
        with torch.inference_mode():
            outputs = model(**inputs)
        outputs.heatmaps = outputs.heatmaps.float()
        (poses,) = reader.post_process_pose_estimation(outputs, boxes=[boxes_K4])
        coco = [torch.cat([pose["keypoints"], pose["scores"][:, None]], 1) for pose in poses]
        return openpose_points(torch.stack(coco).float().numpy())

    def predict(views: Sequence[View]) -> list[np.ndarray]:
        return [points_of(view) for view in views]

    return predict
