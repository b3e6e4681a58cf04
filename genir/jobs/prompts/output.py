"""Prompt files that these commands read and write; what is written is whole or absent, never over what is there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from genir import storage
from genir.errors import PromptError
from genir.promptfile import EMPTY, PromptFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def prompt_files(names: Sequence[str]) -> PromptFiles:
    """The files; raises PromptError, also for the empty prompt, which only a run can use."""
    if EMPTY in names:
        raise PromptError(f"`{EMPTY}` is a mode of genir generate, not a prompt file; name a file")
    return PromptFiles(names)


def refuse_existing(*paths: Path) -> None:
    """Raises PromptError where a file would be replaced, or its folder is missing."""
    for path in paths:
        if path.exists():
            raise PromptError(f"{path}: is there already; remove it or choose another name")
        if not path.absolute().parent.is_dir():
            raise PromptError(f"{path}: no folder {path.parent}; make it first")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """`storage.writing` with the faults of a disk as one line."""
    try:
        with storage.writing(path) as file:
            yield file
    except OSError as error:
        raise PromptError(f"{path}: cannot be written: {error.strerror}") from None


def removed_beside(out: Path) -> Path:
    """Where the prompts that did not stay are told, with their reasons."""
    return out.with_name(f"{out.stem}.removed.jsonl")


def jsonl(name: str) -> Path:
    """The path of an output file; raises PromptError unless it ends in .jsonl."""
    path = Path(name).expanduser()
    if path.suffix != ".jsonl":
        raise PromptError(f"{name}: the output is JSON lines; give it the ending .jsonl")
    return path
