"""Prompts to token ids, with learned vectors between the words; needs the tokenizers only, no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genir.backbone import files, hub
from genir.dualprompt import DualPrompt
from genir.errors import ModelError

if TYPE_CHECKING:
    from transformers import CLIPTokenizer


@dataclass(frozen=True, slots=True)
class PromptTokenizer:
    """One CLIP tokenizer, the number of positions of its text encoder, and how often that encoder reads."""

    tokenizer: CLIPTokenizer
    positions: int
    """Of the text encoder, begin and end of text included."""
    chunks: int = 1
    """A prompt is read in so many chunks of `positions`, each with a begin and an end, side by side."""

    @property
    def length(self) -> int:
        """Positions L of all chunks."""
        return self.chunks * self.positions

    def ids(self, pieces: Sequence[str | Sequence[int]], reserved: int = 0) -> tuple[list[int], bool]:
        """Token ids (length L) of text pieces and ready-made ids in order, and whether they were cut.

        Pieces are tokenised separately, as CLIP's byte-pair encoding does with words anyway. The last `reserved`
        positions, and all that are not needed, hold the padding id.
        """
        content: list[int] = []
        for piece in pieces:
            if isinstance(piece, str):
                content += self.tokenizer(piece, add_special_tokens=False).input_ids if piece.strip() else []
            else:
                content += piece
        size = self.positions - 2
        room = self.chunks * size - reserved
        ids: list[Any] = []  # transformers types its special ids loosely
        for first in range(0, self.chunks * size, size):
            part = content[first : min(first + size, room)]
            ids += [self.tokenizer.bos_token_id, *part, self.tokenizer.eos_token_id]
            ids += [self.tokenizer.pad_token_id] * (size - len(part))
        return ids, len(content) > room


@dataclass(frozen=True, slots=True)
class Tokenizers:
    """The tokenizers of a model, for a dry run."""

    encoders: tuple[PromptTokenizer, ...]

    def truncated(self, texts: Sequence[str], dual: DualPrompt | None) -> list[bool]:
        """For each prompt: would a text encoder cut it?"""
        return [any(encoder.ids(*layout(text, dual))[1] for encoder in self.encoders) for text in texts]


def layout(text: str, dual: DualPrompt | None, first_id: int = 0) -> tuple[list[str | list[int]], int]:
    """(pieces, reserved) of a positive prompt for `PromptTokenizer.ids`; learned vectors get ids from `first_id`
    on.
    """
    if dual is None:
        return [text], 0
    if dual.mode == "output":
        return [text], dual.tokens("positive")
    return fill(dual.template_positive, text, list(range(first_id, first_id + dual.tokens("positive")))), 0


def fill(template: str, text: str, learned: list[int]) -> list[str | list[int]]:
    """A template's pieces around the learned ids; a text without a place of its own comes last.

    The template is split before the text goes in, so a prompt with braces is only a prompt.
    """
    if "{caption}" not in template and text:
        template += " {caption}"
    before, after = template.split("{tokens}")
    return [before.replace("{caption}", text), learned, after.replace("{caption}", text)]


def load(
    id: str,
    *,
    revision: str | None = None,
    variant: str | None = None,
    config: str | None = None,
    chunks: int = 1,
) -> Tokenizers:
    """The tokenizers of a model (of `config` for a single file); raises ModelError as `files.find` does."""
    found = files.find(id, revision=revision, variant=variant)
    if found.kind == "file":
        if config is None:
            raise ModelError(f"model {id}: a single file; set model.config to a folder or hub id with its tokenizers")
        found = files.find_config(config)
    family = files.FAMILIES[files.read_index(found.id, found.path)["_class_name"]]
    suffixes = ("", "_2") if family == "sdxl" else ("",)
    return Tokenizers(tuple(_one(found, suffix, chunks) for suffix in suffixes))


def _one(found: hub.Found, suffix: str, chunks: int) -> PromptTokenizer:
    from transformers import CLIPTokenizer

    try:
        tokenizer = CLIPTokenizer.from_pretrained(found.path / f"tokenizer{suffix}")
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"model {found.id}: tokenizer{suffix} cannot be read ({error})") from error
    positions = files.read_json(found.path / f"text_encoder{suffix}" / "config.json", f"model {found.id}").get(
        "max_position_embeddings", 77
    )
    return PromptTokenizer(tokenizer, min(tokenizer.model_max_length, positions), chunks)
