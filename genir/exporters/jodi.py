"""Jodi: `image/`, `annotation_<domain>/` where there are labels, and `metadata.jsonl` (`metadata.train.jsonl`).

A label that an image has not is an absent key, as Jodi wants it (no openpose: nobody is there); every row has all
captioners, which it insists on. Images stay lossless; Jodi reads any format. `labels.json` says who made the labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from genir import storage
from genir.exporters.entry import Entry
from genir.exporters.folders import Folders, flat, write_lists
from genir.exporters.format import Add, Target

_NAMES = {"segmentation": "seg_12colors"}
"""Domain -> what Joint-1.6M calls it, where that is another name."""
_TOLD = (
    "backend",
    "about",
    "model",
    "revision",
    "licence",
    "commercial_use",
    "options",
    "files",
    "self_check",
    "sense",
)


class Jodi:
    """The format; all splits share the folders."""

    roles = ("hq",)
    merges = False
    ordered = False
    undivided = ""

    def __init__(self, target: Target, makers: Mapping[str, Mapping[str, Any]]) -> None:
        """Write nothing yet.

        Args:
            target: where to.
            makers: domain -> what is known of the model that made its labels.
        """
        self._target, self._makers, self.ending = target, makers, target.stored
        self._place = flat({"hq": "image"})
        self._folders = Folders(replace(target, splits=False), self.roles, self.ending, self._place, {}, self._labels)

    def _labels(self, entry: Entry, pictures: Mapping[str, bytes]) -> dict[str, bytes]:
        return {self._label(domain, entry): pictures[domain] for domain in entry.stored.labels}

    def _label(self, domain: str, entry: Entry) -> str:
        """`annotation_depth/NAME.png`; of the segmentation the image's own name with `.png` behind, as Joint-1.6M."""
        name = entry.name if domain not in _NAMES else f"{entry.name}.{self.ending}"
        return f"{_key(domain)}/{name}.png"

    def unit(self, name: str) -> AbstractContextManager[Add]:
        """Every file is whole as soon as it has its name."""
        return self._folders.unit(name)

    def _line(self, entry: Entry) -> str:
        facts = {
            "image": f"{self._place('hq', entry)}.{self.ending}",
            "info": {"height": entry.height, "width": entry.width},
            "caption": dict(entry.stored.captions),
            **{_key(domain): self._label(domain, entry) for domain in entry.stored.labels},
            "synthetic": entry.stored.synthetic,
        }
        return json.dumps(facts, ensure_ascii=False)

    def finish(self, entries: Iterable[Entry]) -> None:
        """A table of each split, and who made the labels."""

        def place(split: str, name: str) -> Path:
            return self._target.out / f"{name}{'.' if split else ''}{split}.jsonl"

        write_lists({"metadata": self._line}, place, entries)
        makers = {
            _key(domain): {name: facts[name] for name in _TOLD if name in facts}
            for domain, facts in self._makers.items()
        }
        if makers:
            text = json.dumps(makers, indent=1, ensure_ascii=False)
            storage.write(self._target.out / "labels.json", f"{text}\n".encode())


def _key(domain: str) -> str:
    return f"annotation_{_NAMES.get(domain, domain)}"
