"""What a format is to the command that fills it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from genir import images
from genir.exporters.entry import Entry, Role

Add = Callable[[Entry, Mapping[str, bytes]], None]
"""Takes an entry with its pictures by role, and what else belongs to it (`json`: all that is known, as JSON)."""


@dataclass(frozen=True)
class Target:
    """Where an export goes, and what it is made of."""

    out: Path
    scratch: Path
    """Folder on the same file system, for files in the making."""
    scale: int | None
    """HQ side over LQ side; None: images without LQs."""
    stored: images.Format
    """Ending of the run's pictures."""
    bytes: int
    """Of the run's tars."""
    labels: Sequence[str] = ()
    """Domains that the run has labels of, and the export takes."""
    splits: bool = True
    """Does each split have a folder of its own?"""

    @property
    def pair_roles(self) -> tuple[Role, ...]:
        """HQ, and LQ where there are pairs."""
        return ("hq",) if self.scale is None else ("hq", "lq")

    def part(self, split: str) -> Path:
        """The folder of a split."""
        return self.out / split if split and self.splits else self.out


class Format(Protocol):
    """One layout of files."""

    roles: Sequence[Role]
    """Pictures it stores."""
    ending: images.Format
    """Of its pictures."""
    merges: bool
    """Does it put several shards of the run into a file?"""
    ordered: bool
    """Must entries be added in their order, by one thread?"""
    undivided: str
    """Name of the split that holds all, where nothing is held out."""

    def unit(self, name: str) -> AbstractContextManager[Add]:
        """Begin a shard of the run, or several, once more from its start; whole when it was left without an error."""
        ...

    def finish(self, entries: Iterable[Entry]) -> None:
        """Write what stands on top of all: lists, tables, a card. Until then readers find nothing."""
        ...
