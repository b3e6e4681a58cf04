"""Prompts to token ids, with learned vectors between the words; needs the tokenizers only, no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genir.backbone import files, hub
from genir.dualprompt import DualPrompt
from genir.errors import ModelError

if TYPE_CHECKING:
    from transformers import CLIPTokenizer


@dataclass(frozen=True, slots=True)
class PromptTokenizer:
    """One CLIP tokenizer and the number of positions of its text encoder."""

    tokenizer: CLIPTokenizer
    length: int
    """Positions L, begin and end of text included."""

    def ids(self, pieces: Sequence[str | Sequence[int]], room: int) -> tuple[list[int], bool]:
        """Token ids (length L) of text pieces and ready-made ids in order, and whether they were cut.

        Pieces are tokenised separately, as CLIP's byte-pair encoding does with words anyway. `room` is the
        number of positions that may be used, begin and end of text included; the others hold the padding id.
        """
        content: list[int] = []
        for piece in pieces:
            if isinstance(piece, str):
                content += self.tokenizer(piece, add_special_tokens=False).input_ids if piece.strip() else []
            else:
                content += piece
        ids = [self.tokenizer.bos_token_id, *content[: room - 2], self.tokenizer.eos_token_id]
        padding = [self.tokenizer.pad_token_id] * (self.length - len(ids))
        return ids + padding, len(content) > room - 2


@dataclass(frozen=True, slots=True)
class Tokenizers:
    """The tokenizers of a model, for a dry run."""

    encoders: tuple[PromptTokenizer, ...]

    def truncated(self, texts: Sequence[str], dual: DualPrompt | None) -> list[bool]:
        """For each prompt: would a text encoder cut it?"""
        return [any(encoder.ids(*layout(text, dual, encoder.length))[1] for encoder in self.encoders) for text in texts]


def layout(text: str, dual: DualPrompt | None, length: int, first_id: int = 0) -> tuple[list[str | list[int]], int]:
    """(pieces, room) of a positive prompt for `PromptTokenizer.ids`; learned vectors get ids from `first_id`
    on.
    """
    if dual is None:
        return [text], length
    if dual.mode == "output":
        return [text], length - dual.tokens("positive")
    return fill(dual.template_positive, text, list(range(first_id, first_id + dual.tokens("positive")))), length


def fill(template: str, text: str, learned: list[int]) -> list[str | list[int]]:
    """A template's pieces around the learned ids; a text without a place of its own comes last.

    The template is split before the text goes in, so a prompt with braces is only a prompt.
    """
    if "{caption}" not in template and text:
        template += " {caption}"
    before, after = template.split("{tokens}")
    return [before.replace("{caption}", text), learned, after.replace("{caption}", text)]


def load(id: str, *, revision: str | None = None, variant: str | None = None, config: str | None = None) -> Tokenizers:
    """The tokenizers of a model (of `config` for a single file); raises ModelError as `files.find` does."""
    found = files.find(id, revision=revision, variant=variant)
    if found.kind == "file":
        if config is None:
            raise ModelError(f"model {id}: a single file; set model.config to a folder or hub id with its tokenizers")
        found = files.find_config(config)
    family = files.FAMILIES[files.read_index(found.id, found.path)["_class_name"]]
    suffixes = ("", "_2") if family == "sdxl" else ("",)
    return Tokenizers(tuple(_one(found, suffix) for suffix in suffixes))


def _one(found: hub.Found, suffix: str) -> PromptTokenizer:
    from transformers import CLIPTokenizer

    try:
        tokenizer = CLIPTokenizer.from_pretrained(found.path / f"tokenizer{suffix}")
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"model {found.id}: tokenizer{suffix} cannot be read ({error})") from error
    positions = files.read_json(found.path / f"text_encoder{suffix}" / "config.json", f"model {found.id}").get(
        "max_position_embeddings", 77
    )
    return PromptTokenizer(tokenizer, min(tokenizer.model_max_length, positions))
