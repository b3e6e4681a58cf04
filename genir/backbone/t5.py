"""Features of captions by a T5 encoder, as PixArt's models, and with them DreamClear, read them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
import torch

from genir.backbone import hub, weights
from genir.backbone.quiet import quiet
from genir.errors import ModelError


def t5_features(
    id: str, revision: str | None, length: int, device: torch.device
) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    """Load a T5; returns caption -> features (1, L, D) as float32 and attention mask (1, L).

    Captions are put in lower case, padded or cut to L tokens.

    Raises:
        ModelError: no such model.
    """
    from transformers import AutoTokenizer, T5EncoderModel

    hub.find(id, partial(weights.of_transformers, id), revision=revision, what="t5")
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(id, revision=revision or "main")
            dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
            model = T5EncoderModel.from_pretrained(id, revision=revision or "main", dtype=dtype).eval()
        torch.nn.Module.to(model, device)
    except (OSError, ValueError) as error:
        raise ModelError(f"t5 {id}: cannot be loaded: {' '.join(str(error).split())[:200]}") from None
    lock = threading.Lock()

    @lru_cache(1024)  # several LQs share a caption
    def features(caption: str) -> tuple[np.ndarray, np.ndarray]:
        text = caption.lower().strip()
        with lock, torch.inference_mode():
            tokens = tokenizer(text, max_length=length, padding="max_length", truncation=True, return_tensors="pt")
            mask_1L = tokens.attention_mask
            hidden = model(input_ids=tokens.input_ids.to(device), attention_mask=mask_1L.to(device)).last_hidden_state
        return hidden.float().cpu().numpy(), mask_1L.numpy()

    return features
