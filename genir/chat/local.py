"""An image-text-to-text model of transformers, from the hub cache or a folder."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from genir.chat.ask import Failure, Question
from genir.errors import ModelError
from genir.halves import in_halves

if TYPE_CHECKING:
    import torch


class LocalModel:
    """Answers whole batches, greedily.

    A model without a chat template only describes images: it is not told the question.
    """

    def __init__(self, id: str, device: torch.device, max_tokens: int = 512) -> None:
        """Load the model, in float16 on an accelerator.

        Raises:
            ModelError: it cannot be found or is another kind of model.
        """
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        dtype = torch.float32 if device.type == "cpu" else torch.float16
        try:
            self._processor: Any = AutoProcessor.from_pretrained(id)
            self._model: Any = AutoModelForImageTextToText.from_pretrained(id, dtype=dtype)
            self._model.to(device).eval()
        except Exception as error:  # transformers reads a folder of anything
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"chat model {id}: cannot be loaded as image-text-to-text: {reason}") from error
        tokenizer = getattr(self._processor, "tokenizer", self._processor)
        tokenizer.padding_side = "left"  # a decoder goes on where its prompt ends
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.is_told = bool(getattr(self._processor, "chat_template", None))
        self._max_tokens = max_tokens
        self.identity = json.dumps([id, max_tokens])

    def answer(self, questions: Sequence[Question]) -> list[str | Failure]:
        """One text or failure a question, in order; a batch that fails is split."""
        return in_halves(questions, self._generate, lambda question, message: Failure(message, False, at_fault=True))

    def _generate(self, questions: Sequence[Question]) -> list[str | Failure]:
        import torch
        from PIL import Image

        pictures = [[Image.open(io.BytesIO(data)).convert("RGB") for data in question.images] for question in questions]
        options: dict[str, Any] = {"return_tensors": "pt"}
        if self.is_told:
            options |= {"text": [self._prompt(question) for question in questions], "padding": True}
            options |= {"images": pictures} if any(pictures) else {}
        else:
            options["images"] = [picture for own in pictures for picture in own]
        inputs = self._processor(**options).to(self._model.device, self._model.dtype)
        with torch.inference_mode():
            ids_NL = self._model.generate(**inputs, max_new_tokens=self._max_tokens, do_sample=False)
        if self.is_told and not self._model.config.is_encoder_decoder:
            ids_NL = ids_NL[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in self._processor.batch_decode(ids_NL, skip_special_tokens=True)]

    def _prompt(self, question: Question) -> str:
        content = [{"type": "image"} for _ in question.images] + [{"type": "text", "text": question.text}]
        return self._processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
