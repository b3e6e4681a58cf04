"""The captions of one captioner."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir.annotators.licences import allows_commercial_use
from genir.chat.ask import Answer, Chat, Question
from genir.errors import ConfigError
from genir.jobs.annotate.models import Found, find_model, identity
from genir.jobs.annotate.work import Note, Noted
from genir.promptbank.screen import Screen
from genir.records import Columns, Score, Verdict
from genir.runs.build import chat_model

if TYPE_CHECKING:
    import numpy as np
    import torch

    from genir.config.annotate import Captioner
    from genir.sources.pictures import Picture

LONGEST = 4000  # characters
_PEOPLE = ("people", "name")  # reasons of the screen


class Captions:
    """Work of the stage `caption_<name>`."""

    def __init__(
        self,
        name: str,
        config: Captioner,
        root: Path,
        device: Callable[[], torch.device],
        commercial: bool,
        people: bool,
    ) -> None:
        """Find the model; raises ConfigError, ModelError for what cannot be used."""
        self.name, self.config, self._people, self._root, self._device = name, config, people, root, device
        self.columns: Columns = {"model": "string", "revision": "string", "licence": "string", "caption": "string"}
        what = f"captioners.{name} model"
        self._models: dict[str, Found] = {}
        if config.url is None:
            self._models["model"] = find_model(config.model, config.revision, config.licence, what)
        self.licence = self._models["model"].licence if self._models else config.licence or "unknown"
        if commercial and not allows_commercial_use(self.licence):
            raise ConfigError(
                f"{what} {config.model}: its licence is {self.licence}, and commercial is true; choose another model, "
                f"or say captioners.{name}.licence where you know better"
            )
        model = self._models["model"].name if self._models else config.model
        self.said: dict[str, Score] = {"model": model, "revision": config.revision or "", "licence": self.licence}

    def meaning(self) -> dict[str, Any]:
        """What makes two stages the same, beside source and cut."""
        config = self.config
        model = {"files": identity(self._models)} if self._models else {"model": config.model}
        asked = config.model_dump(mode="json", include={"instruction", "max_tokens", "temperature"})
        return {"captioner": self.name, **model, **asked, "people": self._people}

    def load(self) -> tuple[Note, dict[str, Any]]:
        """The model or server; raises ConfigError, ModelError."""
        config = self.config
        path = str(self._models["model"].path) if self._models else config.model
        model = chat_model(config.model_copy(update={"model": path}), self._device)
        chat, screen = Chat(model, self._root / "chat", config.tries), Screen() if self._people else None
        env = {
            **self.said,
            "url": "" if config.url is None else "a server",
            "commercial_use": allows_commercial_use(self.licence),
            "files": identity(self._models),
        }

        def note(batch: list[Picture]) -> list[Noted]:
            questions = [Question(config.instruction, (_jpeg(_pixels(picture)),)) for picture in batch]
            answers = chat.ask(questions, one_line) if questions else []
            return [judged(picture, answer) for picture, answer in zip(batch, answers, strict=True)]

        def judged(picture: Picture, answer: Answer[str]) -> Noted:
            if answer.value is None:
                return Noted(picture, Verdict("rejected", "no caption"), error=answer.error)
            columns: dict[str, Score] = {"caption": answer.value}
            findings = screen.findings(answer.value) if screen else []
            people = next((one for one in findings if one.reason in _PEOPLE), None)
            if people is None:
                return Noted(picture, Verdict("kept"), columns=columns)
            error = f"speaks of people: {people.what}"
            return Noted(picture, Verdict("rejected", "people"), columns=columns, error=error)

        return note, env

    def files(self, noted: Noted) -> dict[str, bytes]:
        """The caption, also where only the tar is read."""
        return {f"{noted.key}.txt": str(noted.columns["caption"]).encode()}


def one_line(text: str) -> str:
    """The caption in a model's answer; raises ValueError, worded to follow "the answer ..."."""
    caption = " ".join(text.split())
    if not any(character.isalpha() for character in caption):
        raise ValueError("holds no caption")
    if len(caption) > LONGEST:
        raise ValueError(f"has {len(caption)} characters, allowed are {LONGEST}")
    return caption


def _pixels(picture: Picture) -> np.ndarray:
    assert picture.pixels_CHW is not None
    return picture.pixels_CHW


def _jpeg(pixels_CHW: np.ndarray) -> bytes:
    """What the model is shown: a fifth of the bytes of a PNG, and no caption depends on the difference."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels_CHW.transpose(1, 2, 0)).save(out, "JPEG", quality=95)
    return out.getvalue()
