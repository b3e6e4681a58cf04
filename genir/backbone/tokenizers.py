"""Prompts to token ids, with learned vectors between the words; needs the tokenizers only, no weights."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from genir.backbone import families, files, hub
from genir.backbone.about import is_told_scale
from genir.dualprompt import DualPrompt
from genir.errors import ModelError


@dataclass(frozen=True)
class Reader:
    """How one text encoder of a family reads a prompt."""

    name: str
    """Key of its vectors in a dual-prompt file."""
    suffix: str
    """Of the components `tokenizer` and `text_encoder`."""
    layer: Literal["last", "penultimate", "pooled"] | None = None
    """CLIP: what the denoiser was trained on; None for another encoder."""
    length: int | None = None
    """Positions L, as the family's pipeline has them; None: CLIP's own."""
    masked: bool = False
    """Do encoder and denoiser leave the padding out?"""
    gives_way: bool = True
    """Do output-mode vectors take the last of its positions?"""
    lower: bool = False
    """Is the prompt put in lower case, without blanks around it?"""
    before: str = ""
    """Put before every prompt, within L."""
    instruction: str = ""
    """Put before every positive prompt; its positions come on top of L."""


_LUMINA = (  # the pipeline's system prompt
    "You are an assistant designed to generate superior images with the superior degree of image-text alignment based "
    "on textual prompts or user prompts."
)
_READERS = {
    "sd": (Reader("clip_l", "", "last"),),
    "sdxl": (Reader("clip_l", "", "penultimate"), Reader("clip_g", "_2", "penultimate")),
    "pixart_alpha": (Reader("t5", "", length=120, masked=True, lower=True),),
    "pixart_sigma": (Reader("t5", "", length=300, masked=True, lower=True),),
    "sd3": (
        Reader("clip_l", "", "penultimate", gives_way=False),
        Reader("clip_g", "_2", "penultimate", gives_way=False),
        Reader("t5", "_3", length=256),
    ),
    "lumina2": (Reader("gemma", "", length=256, before=f"{_LUMINA} <Prompt Start> "),),
    "cogview4": (Reader("glm", "", length=1024),),
    "qwenimage": (Reader("qwen", "", length=512),),
    "zimage": (Reader("qwen", "", length=504),),  # 512 with the eight of its chat template
}


def readers(family: str, components: Collection[str], told_scale: bool) -> tuple[Reader, ...]:
    """The text encoders of a model with these components."""
    if family == "flux":  # FLUX.1-schnell, which is not told a scale, was trained at 256 positions
        length = 512 if told_scale else 256
        found: tuple[Reader, ...] = (Reader("clip_l", "", "pooled", gives_way=False), Reader("t5", "_2", length=length))
    elif family == "sana":
        found = (Reader("gemma", "", length=300, masked=True, lower=True, instruction=_sana_instruction()),)
    else:
        found = _READERS[family]
    return tuple(reader for reader in found if f"tokenizer{reader.suffix}" in components)


def _sana_instruction() -> str:
    """The pipeline's default complex human instruction (Xie et al. 2024, section 2.3)."""
    import inspect

    from diffusers import SanaPipeline

    return "\n".join(inspect.signature(SanaPipeline.__call__).parameters["complex_human_instruction"].default)


@dataclass(frozen=True)
class PromptTokenizer:
    """A tokenizer, and how its text encoder reads a prompt."""

    reader: Reader
    tokenizer: Any
    positions: int
    """Of the text encoder, begin and end of text included."""
    chunks: int = 1
    """A prompt is read in so many chunks of `positions`, each with a begin and an end, side by side."""

    @property
    def length(self) -> int:
        """Positions L of all chunks."""
        return self.chunks * self.positions

    @cached_property
    def _ends(self) -> tuple[list[int], list[int]]:
        """Ids before and after every text: CLIP has both, T5 an end, Gemma a beginning."""
        ids = self.tokenizer("").input_ids
        before = [id for id in ids if id == self.tokenizer.bos_token_id][:1]
        return before, ids[len(before) :]

    @property
    def first(self) -> int:
        """Position of the first word."""
        return len(self._ends[0])

    @property
    def most(self) -> int:
        """Largest number of tokens that a chunk of text may have."""
        return self.positions - len(self._ends[0]) - len(self._ends[1])

    @cached_property
    def _instruction_positions(self) -> int:
        if not self.reader.instruction:
            return 0
        return len(self.tokenizer.encode(self.reader.instruction)) - 2

    def ids(
        self, pieces: Sequence[str | Sequence[int]], reserved: int = 0, instructed: bool = True
    ) -> tuple[list[int], bool]:
        """Token ids (length L, with an instruction more) of text pieces and ready-made ids in order, and whether they
        were cut.

        Pieces are tokenised separately, as CLIP's byte-pair encoding does with words anyway. The last `reserved`
        positions, and all that are not needed, hold the padding id.
        """
        before, after = self._ends
        content: list[int] = []
        for piece in self._texts(pieces, instructed):
            if not isinstance(piece, str):
                content += piece
            elif piece.strip():  # verbose: a long text is cut here, nobody need be warned of it
                content += self.tokenizer(piece, add_special_tokens=False, verbose=False).input_ids
        size = self.most + (self._instruction_positions if instructed else 0)
        room = self.chunks * size - reserved
        ids: list[int] = []
        for first in range(0, self.chunks * size, size):
            part = content[first : min(first + size, room)]
            ids += [*before, *part, *after, *[self.tokenizer.pad_token_id] * (size - len(part))]
        return ids, len(content) > room

    def _texts(self, pieces: Sequence[str | Sequence[int]], instructed: bool) -> list[str | Sequence[int]]:
        """Pieces as the encoder wants them."""
        # A blank before learned vectors would be a token of its own for some tokenizers
        last = len(pieces) - 1
        texts = [
            piece.rstrip() if isinstance(piece, str) and place < last else piece for place, piece in enumerate(pieces)
        ]
        if self.reader.lower:
            texts = [piece.lower() if isinstance(piece, str) else piece for piece in texts]
            for place, strip in ((0, str.lstrip), (-1, str.rstrip)):
                piece = texts[place]
                texts[place] = strip(piece) if isinstance(piece, str) else piece
        lead = self.reader.before + (self.reader.instruction if instructed else "")
        if lead:
            first = texts[0] if isinstance(texts[0], str) else ""
            texts = [lead + first, *texts[1 if isinstance(texts[0], str) else 0 :]]
        return texts


@dataclass(frozen=True, slots=True)
class Tokenizers:
    """The tokenizers of a model, for a dry run."""

    encoders: tuple[PromptTokenizer, ...]

    def truncated(self, texts: Sequence[str], dual: DualPrompt | None) -> list[bool]:
        """For each prompt: would a text encoder cut it?"""
        return [any(encoder.ids(*layout(text, dual, encoder))[1] for encoder in self.encoders) for text in texts]


def layout(
    text: str, dual: DualPrompt | None, tokenizer: PromptTokenizer, first_id: int = 0
) -> tuple[list[str | list[int]], int]:
    """(pieces, reserved) of a positive prompt for `PromptTokenizer.ids`; learned vectors get ids from `first_id`
    on.
    """
    if dual is None:
        return [text], 0
    if dual.mode == "output":
        return [text], dual.tokens("positive") if tokenizer.reader.gives_way else 0
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
    index = files.read_index(found.id, found.path)
    family = families.BY_PIPELINE[index["_class_name"]]
    denoiser = found.path / families.FAMILIES[family].denoiser / "config.json"
    told_scale = is_told_scale(files.read_json(denoiser, f"model {id}"))
    wanted = readers(family, families.components(index), told_scale)
    return Tokenizers(tuple(_one(found, index, reader, chunks) for reader in wanted))


def _one(found: hub.Found, index: dict[str, Any], reader: Reader, chunks: int) -> PromptTokenizer:
    import transformers

    place = f"tokenizer{reader.suffix}"
    try:
        tokenizer = getattr(transformers, index[place][1]).from_pretrained(found.path / place)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"model {found.id}: {place} cannot be read ({str(error).strip().splitlines()[0]})") from error
    config = files.read_json(found.path / f"text_encoder{reader.suffix}" / "config.json", f"model {found.id}")
    return prompt_tokenizer(reader, tokenizer, config.get("max_position_embeddings", 77), chunks)


def prompt_tokenizer(reader: Reader, tokenizer: Any, positions: int, chunks: int = 1) -> PromptTokenizer:
    """A tokenizer whose encoder has so many positions; raises ModelError for chunks where a prompt is read at once."""
    if chunks != 1 and reader.layer not in ("last", "penultimate"):
        raise ModelError(
            f"chunks {chunks}: only for Stable Diffusion's and SDXL's CLIP; {reader.name} reads whole prompts"
        )
    return PromptTokenizer(reader, tokenizer, reader.length or min(tokenizer.model_max_length, positions), chunks)
