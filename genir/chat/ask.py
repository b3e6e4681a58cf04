"""Ask a model, believe no answer before it is checked, and ask nothing twice."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from genir import storage
from genir.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("genir")

T = TypeVar("T")
LONGEST_WAIT = 60.0
"""Seconds; also where a server asks for more."""


@dataclass(frozen=True)
class Question:
    """A text, the encoded images (PNG, JPEG or WebP) that it is about, and the form of its answer."""

    text: str
    images: tuple[bytes, ...] = ()
    schema: str = ""
    """JSON Schema that the answer follows, for servers that can enforce one; "": any text."""


@dataclass(frozen=True)
class Failure:
    """Why a question has no answer."""

    message: str
    """One line."""
    again: bool
    """May the same question be answered later?"""
    at_fault: bool = False
    """Is it the model or the server rather than this question?"""
    wait: float = 0.0
    """Seconds that the server asked to wait."""


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What `parse` made of the model's text, or the reason why there is nothing."""

    value: T | None
    error: str = ""


class Model(Protocol):
    """Something that answers; `server.Server` or `local.LocalModel`."""

    identity: str
    """What decides the answers: model, settings."""
    is_told: bool
    """Does it read the question? Some models only describe the image."""

    def answer(self, questions: Sequence[Question]) -> Iterable[str | Failure]:
        """One text or failure a question, in order, as they come; never hangs.

        Raises ModelError when no question can ever work.
        """
        ...


class Chat:
    """A model with patience and a memory."""

    def __init__(self, model: Model, cache: Path | None = None, tries: int = 4, pause: float = 1.0) -> None:
        """Nothing is asked yet.

        Args:
            model: who answers.
            cache: folder of earlier answers, found by the content of question and images; None remembers nothing.
            tries: how often a question is put at most.
            pause: seconds before the second try; doubled before every further one.
        """
        self._model, self._cache, self._tries, self._pause = model, cache, tries, pause

    def ask(self, questions: Sequence[Question], parse: Callable[[str], T]) -> list[Answer[T]]:
        """One checked answer a question, in order.

        `parse` makes a value of the model's text or raises ValueError with what is wrong with it; such an answer is
        asked for again, and never remembered. Raises ModelError when the model fails at everything.
        """
        answers: dict[int, Answer[T]] = {}
        for index, question in enumerate(questions):
            known = self._recall(question, parse)
            if known is not None:
                answers[index] = known
        failures: dict[int, Failure] = {}
        pending = [index for index in range(len(questions)) if index not in answers]
        for attempt in range(self._tries):
            if not pending:
                break
            if attempt:
                asked_for = max(failures[index].wait for index in pending)
                time.sleep(min(LONGEST_WAIT, max(asked_for, self._pause * 2 ** (attempt - 1))))
            for index, reply in zip(pending, self._model.answer([questions[i] for i in pending]), strict=True):
                result = _checked(reply, parse)
                if isinstance(result, Failure):
                    failures[index] = result
                else:
                    answers[index] = result
                    self._remember(questions[index], str(reply))
            pending = [index for index in pending if index not in answers and failures[index].again]
        failed = [failures[index] for index in range(len(questions)) if index not in answers]
        if failed and len(failed) == len(questions) and all(failure.at_fault for failure in failed):
            self._check_model(failed[0])
        for failure in failed:
            log.warning("no usable answer: %s", failure.message)
        return [answers.get(index) or Answer(None, failures[index].message) for index in range(len(questions))]

    def _check_model(self, failed: Failure) -> None:
        """A model that cannot answer anything is no question's fault."""
        (reply,) = self._model.answer([Question("Answer with one word: yes.")])
        if isinstance(reply, Failure) and reply.at_fault:
            raise ModelError(
                f"{failed.message}; nor does a plain question work: mend it and run the same command again"
            )

    def _file(self, question: Question) -> Path | None:
        if self._cache is None:
            return None
        facts = [self._model.identity, question.text, *(hashlib.sha256(image).hexdigest() for image in question.images)]
        facts += [question.schema] if question.schema else []
        name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        return self._cache / name[:2] / f"{name[2:]}.txt"

    def _recall(self, question: Question, parse: Callable[[str], T]) -> Answer[T] | None:
        file = self._file(question)
        try:
            return None if file is None else Answer(parse(file.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            return None

    def _remember(self, question: Question, text: str) -> None:
        file = self._file(question)
        if file is not None:
            with storage.explained(file):
                file.parent.mkdir(parents=True, exist_ok=True)
                storage.write(file, text.encode())


def _checked(reply: str | Failure, parse: Callable[[str], T]) -> Answer[T] | Failure:
    if isinstance(reply, Failure):
        return reply
    try:
        return Answer(parse(reply))
    except ValueError as error:
        return Failure(f"the answer {_shown(reply)} {error}", again=True)


def parse_object(text: str, fields: Mapping[str, type]) -> dict[str, Any]:
    """The first JSON object in a model's text, with code fences and words around it ignored.

    Raises ValueError, worded to follow "the answer ...", when there is none, it is cut, or a field is missing or of
    another type.
    """
    start = text.find("{")
    if start < 0:
        raise ValueError("holds no JSON object")
    try:
        value, _ = json.JSONDecoder().raw_decode(text[start:])
    except (ValueError, RecursionError):
        raise ValueError("holds a JSON object that is cut or malformed") from None
    for name, kind in fields.items():
        if name not in value:
            raise ValueError(f"lacks {name!r}")
        if not isinstance(value[name], kind):
            raise ValueError(f"has {name!r} of type {type(value[name]).__name__}, not {kind.__name__}")
    return value


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else line[:57] + "...")
