"""The configurations of `genir prompts compose` and `genir prompts write`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from genir.config.base import Strict
from genir.config.generate import PromptPaths
from genir.config.shared import ChatConfig, FilePath


class Compose(Strict):
    """All keys of `genir prompts compose`."""

    out: str = Field(default="prompts.jsonl", min_length=1, description="file to write, .jsonl; must not be there yet")
    count: int = Field(default=10_000, ge=1, le=100_000_000, description="distinct prompts")
    seed: int = Field(default=0, ge=0, description="another seed, another bank")
    sentences: float = Field(default=0.5, ge=0, le=1, description="share of sentences; the others are lists of tags")
    shares: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default={}, description="category -> weight; a category that is not named has 1, with 0 it is left out"
    )


class Write(Strict):
    """All keys of `genir prompts write`."""

    out: str = Field(default="written.jsonl", min_length=1, description="file to write, .jsonl; must not be there yet")
    prompts: PromptPaths = Field(description="prompt files to start from: .jsonl .txt .csv .parquet")
    variants: int = Field(default=1, ge=1, le=20, description="new prompts after each of them")
    batch: int = Field(default=10, ge=1, le=100, description="prompts in a question")
    limit: int | None = Field(default=None, ge=1, description="only the first prompts; null: all")
    instruction: FilePath = Field(default="prompts/write_instruction.txt", description="what the model is told")
    chat: ChatConfig
