"""Folders of pictures with the same names, and lists of them: the layout most formats are made of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from genir import images, storage
from genir.exporters.entry import Entry, Role
from genir.exporters.format import Add, Target

Line = Callable[[Entry], str]
"""What a list says of an entry."""
More = Callable[[Entry, Mapping[str, bytes]], Mapping[str, bytes]]
"""Further files of an entry, by path in its split."""


@dataclass(frozen=True)
class Folders:
    """Pictures of each role in a folder of their own; where some are held out, in `train/` and in `val/`."""

    target: Target
    roles: Sequence[Role]
    ending: images.Format
    place: Callable[[Role, Entry], str]
    """Where a picture lies in its split, without the ending."""
    lists: Mapping[str, Line]
    """By name in their split."""
    more: More | None = None
    merges = False
    ordered = False
    undivided = ""

    @contextlib.contextmanager
    def unit(self, name: str) -> Iterator[Add]:
        """Every file is whole as soon as it has its name."""
        folders = set[Path]()

        def add(entry: Entry, pictures: Mapping[str, bytes]) -> None:
            files = {f"{self.place(role, entry)}.{self.ending}": pictures[role] for role in self.roles}
            for path, data in {**files, **(self.more(entry, pictures) if self.more else {})}.items():
                file = self.target.part(entry.split) / path
                if file.parent not in folders:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    folders.add(file.parent)
                storage.place(file, data, self.target.scratch)

        yield add

    def finish(self, entries: Iterable[Entry]) -> None:
        """All lists, a line an entry, each replaced whole."""
        write_lists(self.lists, lambda split, name: self.target.part(split) / name, entries)


def write_lists(lists: Mapping[str, Line], place: Callable[[str, str], Path], entries: Iterable[Entry]) -> None:
    """Write each list of each split (`place` says where), a line an entry."""
    with contextlib.ExitStack() as stack:
        files: dict[tuple[str, str], BinaryIO] = {}
        for entry in entries:
            for name, line in lists.items():
                file = files.get((entry.split, name))
                if file is None:
                    path = place(entry.split, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    file = files[entry.split, name] = stack.enter_context(storage.writing(path))
                file.write(f"{line(entry)}\n".encode())


def flat(names: Mapping[Role, str]) -> Callable[[Role, Entry], str]:
    """One folder a role: `gt/NAME`."""
    return lambda role, entry: f"{names[role]}/{entry.name}"


def caption(entry: Entry, folder: str) -> dict[str, bytes]:
    """The caption as a file of one line: readers take the first."""
    return {f"{folder}/{entry.name}.txt": " ".join(entry.stored.caption.split()).encode()}
