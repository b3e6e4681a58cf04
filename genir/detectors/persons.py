"""Persons by any object-detection network of transformers (DETR, RT-DETR, YOLOS, ...) whose labels name them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genir.errors import ModelError

FLOOR = 0.3
"""Boxes below this score are not counted."""
_SHOWN = 12  # labels


@dataclass(frozen=True, slots=True)
class Persons:
    """What was found in one image."""

    score: float
    """Best score of a box with the label, 0..1; 0 without one."""
    count: int
    """Boxes of FLOOR and more."""
    area: float
    """The largest of these as a fraction of the image area, 0..1."""


class PersonDetector:
    """Float32, at the size that the network's own processor makes of an image."""

    def __init__(self, folder: Path, label: str, device: torch.device) -> None:
        """Load the network; raises ModelError for another kind, or one that does not know the label."""
        from transformers import AutoImageProcessor, AutoModelForObjectDetection

        try:
            self._processor: Any = AutoImageProcessor.from_pretrained(folder)
            self._model: Any = AutoModelForObjectDetection.from_pretrained(folder, dtype=torch.float32)
        except Exception as error:  # transformers reads a folder of anything
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"gates.person.model {folder}: cannot be loaded for object detection: {reason}") from error
        self._model.to(device).eval()
        labels = {str(name): int(number) for number, name in self._model.config.id2label.items()}
        if label not in labels:
            some = ", ".join(sorted(labels)[:_SHOWN]) + (", ..." if len(labels) > _SHOWN else "")
            raise ModelError(f"gates.person.label {label}: {folder} knows {some}")
        self._label, self._device = labels[label], device

    @torch.inference_mode()
    def detect(self, images_NCHW: Tensor) -> list[Persons]:
        """uint8 RGB (N, 3, H, W) -> one `Persons` an image, in order."""
        height, width = images_NCHW.shape[2:]
        pictures = list(images_NCHW.permute(0, 2, 3, 1).cpu().numpy())
        inputs = self._processor(images=pictures, return_tensors="pt").to(self._device)
        found = self._processor.post_process_object_detection(
            self._model(**inputs), threshold=0.0, target_sizes=[(height, width)] * len(pictures)
        )
        return [self._persons(each, height, width) for each in found]

    def _persons(self, found: dict[str, Tensor], height: int, width: int) -> Persons:
        mine = found["labels"] == self._label
        scores_K, boxes_K4 = found["scores"][mine].float().cpu(), found["boxes"][mine].float().cpu()
        limits = torch.tensor([width, height, width, height], dtype=torch.float32)
        boxes_K4 = boxes_K4[scores_K >= FLOOR].clamp(min=0).minimum(limits)
        areas_K = (boxes_K4[:, 2:] - boxes_K4[:, :2]).clamp(min=0).prod(dim=1) / (height * width)
        best, largest = (float(values.max()) if len(values) else 0.0 for values in (scores_K, areas_K))
        return Persons(best, len(boxes_K4), largest)
