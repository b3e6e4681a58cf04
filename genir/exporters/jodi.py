"""Jodi: `image/`, `annotation_<domain>/` where there are labels, and `metadata.jsonl` (`metadata.train.jsonl`).

A label that an image has not is an absent key, as Jodi wants it. Images stay lossless; Jodi reads any format.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from genir.exporters.entry import Entry
from genir.exporters.folders import Folders, flat, write_lists
from genir.exporters.format import Add, Target


class Jodi:
    """The format; all splits share the folders."""

    roles = ("hq",)
    merges = False
    ordered = False
    undivided = ""

    def __init__(self, target: Target, captioner: str) -> None:
        self._target, self._captioner, self.ending = target, captioner, target.stored
        self._place = flat({"hq": "image"})
        self._folders = Folders(replace(target, splits=False), self.roles, self.ending, self._place, {}, self._labels)

    def _labels(self, entry: Entry, pictures: Mapping[str, bytes]) -> dict[str, bytes]:
        return {_label(domain, entry): pictures[domain] for domain in entry.stored.labels}

    def unit(self, name: str) -> AbstractContextManager[Add]:
        """Every file is whole as soon as it has its name."""
        return self._folders.unit(name)

    def _line(self, entry: Entry) -> str:
        facts = {
            "image": f"{self._place('hq', entry)}.{self.ending}",
            "info": {"height": entry.height, "width": entry.width},
            "caption": {self._captioner: entry.stored.caption},
            **{f"annotation_{domain}": _label(domain, entry) for domain in entry.stored.labels},
            "synthetic": entry.stored.synthetic,
        }
        return json.dumps(facts, ensure_ascii=False)

    def finish(self, entries: Iterable[Entry]) -> None:
        """A table of each split."""

        def place(split: str, name: str) -> Path:
            return self._target.out / f"{name}{'.' if split else ''}{split}.jsonl"

        write_lists({"metadata": self._line}, place, entries)


def _label(domain: str, entry: Entry) -> str:
    return f"annotation_{domain}/{entry.name}.png"
