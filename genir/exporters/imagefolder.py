"""Hugging Face imagefolder: `train/metadata.jsonl` beside folders of few pictures, and a card.

`load_dataset(FOLDER)` gives the columns `image`, or `hq` and `lq`, and `text`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

from genir import storage
from genir.exporters.card import About, card, columns
from genir.exporters.entry import Entry
from genir.exporters.facts import told
from genir.exporters.folders import Folders
from genir.exporters.format import Add, Target


class ImageFolder:
    """The format; under 10,000 files in a folder, as the hub wants it."""

    merges = False
    ordered = False
    undivided = "train"

    def __init__(self, target: Target, about: About) -> None:
        self._target, self._about = target, about
        self.roles, self.ending = target.pair_roles, target.stored
        self._folders = Folders(target, self.roles, self.ending, self._place, {"metadata.jsonl": self._line})

    def _place(self, role: str, entry: Entry) -> str:
        return f"{entry.folder}/{entry.name}" + ("" if self._target.scale is None else f"_{role}")

    def _line(self, entry: Entry) -> str:
        # a column is named by what stands before `_file_name`
        names = {role: "file_name" if self._target.scale is None else f"{role}_file_name" for role in self.roles}
        files = {names[role]: f"{self._place(role, entry)}.{self.ending}" for role in self.roles}
        return json.dumps({**files, **told(entry)}, ensure_ascii=False)

    def unit(self, name: str) -> AbstractContextManager[Add]:
        """Every file is whole as soon as it has its name."""
        return self._folders.unit(name)

    def finish(self, entries: Iterable[Entry]) -> None:
        """The tables, then the card."""
        counts, synthetic = Counter[str](), Counter[bool]()

        def counted() -> Iterator[Entry]:
            for entry in entries:
                counts[entry.split] += 1
                synthetic[entry.stored.synthetic] += 1
                yield entry

        self._folders.finish(counted())
        text = card(self._about, counts, synthetic[True], "{split}/**", columns(self._target.scale is not None))
        storage.write(self._target.out / "README.md", text.encode())
