"""Text and watermarks: RapidOCR (PP-OCR; code and weights Apache-2.0), which travels with its models."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir.errors import ExtraError
from genir.storage import sha256

if TYPE_CHECKING:
    from torch import Tensor

SHORTEST = 3
"""Characters: shorter findings are mostly texture."""


@dataclass(frozen=True, slots=True)
class Text:
    """What was read in one image."""

    score: float
    """Best recognition score of a piece of three and more characters, 0..1; 0 without one."""
    words: str
    """The pieces, best first, on one line."""


class TextDetector:
    """Reads each image at its own size (2,000 px at most). Raises ExtraError without the package.

    Finding places that look like text is not enough, texture does; the score is the recogniser's.
    """

    def __init__(self) -> None:
        try:
            rapidocr: Any = importlib.import_module("rapidocr")
        except ImportError:
            raise ExtraError(
                "gates.text: the package rapidocr is not installed: pip install 'genir[text]', or leave the gate out"
            ) from None
        quiet = {
            "Global.log_level": "error",
            "Global.text_score": 0.0,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
        self._reader = rapidocr.RapidOCR(params=quiet)
        models = sorted((Path(rapidocr.__file__).parent / "models").glob("*.onnx"))
        self.weights_sha256 = {path.stem: sha256(path) for path in models}

    def detect(self, images_NCHW: Tensor) -> list[Text]:
        """uint8 RGB (N, 3, H, W) -> what is read in each; one after the other."""
        return [self._read(image_HWC[..., ::-1]) for image_HWC in images_NCHW.permute(0, 2, 3, 1).cpu().numpy()]

    def _read(self, bgr_HWC: object) -> Text:
        found = self._reader(bgr_HWC)
        pieces = zip(found.txts or (), found.scores or (), strict=True)
        read = sorted(((score, text) for text, score in pieces if len(text.strip()) >= SHORTEST), reverse=True)
        return Text(float(read[0][0]), " ".join(text for _, text in read)[:200]) if read else Text(0.0, "")
