"""Prompt alignment: the cosine between CLIP's features of a picture and of its prompt (Radford et al. 2021).

Hessel et al. 2021 (arXiv 2104.08718) call max(2.5 cos, 0) CLIPScore; here it is the cosine itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genir.errors import ModelError


class ClipScore:
    """A CLIP network of transformers, in float32."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Load network and processor; raises ModelError."""
        from transformers import CLIPModel, CLIPProcessor

        try:
            self._processor: Any = CLIPProcessor.from_pretrained(folder)
            self._model: Any = CLIPModel.from_pretrained(folder, dtype=torch.float32)
        except Exception as error:  # transformers reads a folder of anything
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"gates.clip.model {folder}: cannot be loaded as CLIP: {reason}") from error
        self._model.to(device).eval()
        self._device = device

    @torch.inference_mode()
    def score(self, images_NCHW: Tensor, prompts: Sequence[str]) -> list[float | None]:
        """uint8 RGB (N, 3, H, W) and N prompts -> cosines -1..1; None without a prompt. Long prompts are cut."""
        pictures = list(images_NCHW.permute(0, 2, 3, 1).cpu().numpy())
        longest = self._model.config.text_config.max_position_embeddings
        texts = [prompt or "." for prompt in prompts]
        inputs = self._processor(
            text=texts, images=pictures, return_tensors="pt", padding=True, truncation=True, max_length=longest
        )
        found = self._model(**inputs.to(self._device))
        cosines_N = torch.nn.functional.cosine_similarity(found.image_embeds, found.text_embeds)
        return [cosine if prompt else None for cosine, prompt in zip(cosines_N.tolist(), prompts, strict=True)]
