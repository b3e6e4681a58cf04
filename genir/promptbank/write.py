"""New prompts by a language model, after those that are there; no answer is believed before it is screened.

GenIR had an LLM write its prompts (arXiv 2410.18666, section 3.2). A question holds several prompts; those that its
answer leaves out, or that share it with one that the model chokes on, are asked for once more, each alone.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from genir.chat.ask import Question, parse_object
from genir.errors import PromptError
from genir.promptbank.screen import Finding
from genir.promptbank.words import words_of
from genir.promptrecord import checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genir.chat.ask import Chat
    from genir.promptbank.screen import Screen
    from genir.records import Prompt

LONGEST = 1000
"""Characters of a new prompt; text encoders read about 300."""
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "prompts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "integer"},
                        "texts": {"type": "array", "items": {"type": "string"}},
                    },
                    "required": ["id", "texts"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["prompts"],
        "additionalProperties": False,
    }
)


@dataclass(frozen=True, slots=True)
class Written:
    """A new prompt and what speaks against it; or why there is none."""

    source: Prompt
    """What the model started from."""
    prompt: Prompt | None
    """None: no answer, or nothing that can be a prompt."""
    findings: list[Finding]
    """Empty: keep it. Reasons are those of the screen, `answer` and `duplicate`."""


class Writer:
    """Asks, and judges what comes: every new prompt is screened and stands once."""

    def __init__(self, chat: Chat, model: str, instruction: str, screen: Screen, variants: int, batch: int) -> None:
        """Nothing is asked yet.

        Args:
            chat: who is asked.
            model: name for the `source` of the new prompts.
            instruction: what stands before the prompts; `{variants}` in it becomes the number.
            screen: what a new prompt may not hold.
            variants: new prompts after each.
            batch: prompts in a question.
        """
        self._chat, self._model, self._screen, self._variants, self._batch = chat, model, screen, variants, batch
        self._instruction = instruction.strip().replace("{variants}", str(variants))
        self._seen: set[bytes] = set()

    def write(self, sources: Sequence[Prompt]) -> Iterator[Written]:
        """Yield what became of each prompt, in order. Raises ModelError when the model fails at everything."""
        for source, answer in zip(sources, self._answers(sources), strict=True):
            if isinstance(answer, str):
                yield Written(source, None, [Finding("answer", answer)])
            else:
                yield from (self._judged(source, text) for text in answer[: self._variants])

    def _answers(self, sources: Sequence[Prompt]) -> list[list[str] | str]:
        """The texts after each prompt, or the reason why there are none."""
        groups = [sources[start : start + self._batch] for start in range(0, len(sources), self._batch)]
        answers = [answer for found in self._asked(groups) for answer in found]
        alone = [index for index, answer in enumerate(answers) if isinstance(answer, str)] if self._batch > 1 else []
        for index, (answer,) in zip(alone, self._asked([[sources[index]] for index in alone]), strict=True):
            answers[index] = answer
        return answers

    def _asked(self, groups: Sequence[Sequence[Prompt]]) -> Iterator[list[list[str] | str]]:
        """A question a group."""
        answers = self._chat.ask([self._question(group) for group in groups], parse)
        for group, answer in zip(groups, answers, strict=True):
            found = answer.value or {}
            reason = answer.error or "the answer leaves it out"
            yield [found.get(number, reason) for number in range(1, len(group) + 1)]

    def _question(self, prompts: Sequence[Prompt]) -> Question:
        lines = [
            json.dumps({"id": number, "category": prompt.category, "prompt": prompt.text}, ensure_ascii=False)
            for number, prompt in enumerate(prompts, 1)
        ]
        return Question("\n".join([self._instruction, *lines]), schema=SCHEMA)

    def _judged(self, source: Prompt, raw: str) -> Written:
        text = " ".join(raw.split())
        try:
            checked({"prompt": text}, "the answer")
        except PromptError as error:
            return Written(source, None, [Finding("answer", str(error))])
        digest = _digest(text)
        prompt = replace(
            source,
            text=text,
            id=digest.hex(),
            tags=(*source.tags, "written"),
            source=f"{self._model}, after {source.id or 'a prompt'}",
            licence="",
        )
        if len(text) > LONGEST:
            return Written(source, prompt, [Finding("answer", f"{len(text)} characters, allowed are {LONGEST}")])
        if findings := self._screen.findings(text):
            return Written(source, prompt, findings)
        if digest == _digest(source.text) or digest in self._seen:
            return Written(source, prompt, [Finding("duplicate", "the words of an earlier prompt")])
        self._seen.add(digest)
        return Written(source, prompt, [])


def parse(text: str) -> dict[int, list[str]]:
    """Id -> new prompts, of what can be read in {"prompts": [{"id": 1, "texts": ["..."]}]}.

    Raises ValueError, worded to follow "the answer ...", when that is nothing.
    """
    found: dict[int, list[str]] = {}
    for item in parse_object(text, {"prompts": list})["prompts"]:
        number, texts = (item.get("id"), item.get("texts")) if isinstance(item, dict) else (None, None)
        if (
            str(number).isdecimal()
            and isinstance(texts, list)
            and texts
            and all(isinstance(each, str) for each in texts)
        ):
            found.setdefault(int(str(number)), texts)
    if not found:
        raise ValueError("holds no new prompt")
    return found


def _digest(text: str) -> bytes:
    return hashlib.blake2b(" ".join(words_of(text)).encode(), digest_size=8).digest()
