"""What the backends of transformers and diffusers share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from genir.annotators.label import View
from genir.errors import ModelError


def load(kind: Any, path: Path, what: str, dtype: torch.dtype | None = None) -> Any:
    """`kind.from_pretrained` of a folder, asking no hub; raises ModelError, one line, for a folder of anything else."""
    options: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
    try:
        return kind.from_pretrained(path, local_files_only=True, **options)
    except Exception as error:  # these libraries read a folder of anything
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{what}: {path} cannot be loaded by {kind.__name__}: {reason}") from error


def half_on(device: torch.device) -> torch.dtype:
    """Half precision on an accelerator."""
    return torch.float32 if device.type == "cpu" else torch.float16


def images(views: Sequence[View]) -> list[Image.Image]:
    """As Pillow has them."""
    return [Image.fromarray(view.pixels_CHW.transpose(1, 2, 0)) for view in views]
