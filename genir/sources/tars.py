"""Pictures in tars: what lies where, and how to read it without unpacking."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from genir import images
from genir.errors import ConfigError, ImageError
from genir.sources.original import Original

_KEPT = 32  # indexes of so many tars are kept in memory


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a tar."""

    tar: Path
    offset: int
    size: int
    name: str

    def read(self) -> bytes:
        """Its bytes."""
        with self.tar.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass
class Sample:
    """The files of a tar with the same name up to the first dot."""

    name: str
    files: dict[str, Member] = field(default_factory=dict)
    """By what follows the first dot."""

    @property
    def picture(self) -> Member | None:
        """The file `NAME.png`, else `NAME.hq.png`, else the first picture."""
        pictures = {ending: file for ending, file in self.files.items() if _is_picture(ending)}
        for wanted in (lambda ending: "." not in ending, lambda ending: ending.startswith("hq."), lambda ending: True):
            for ending, file in pictures.items():
                if wanted(ending):
                    return file
        return None


def samples(tar: Path) -> list[Sample]:
    """All samples of a tar that hold a picture, in its order; raises ConfigError for what is no tar."""
    try:
        facts = tar.stat()
    except OSError as error:
        raise ConfigError(f"{tar}: cannot be read: {error.strerror}") from None
    return _samples(tar, facts.st_size, facts.st_mtime_ns)


@lru_cache(_KEPT)
def _samples(tar: Path, size: int, changed: int) -> list[Sample]:
    """The tar as it is now: that of a run grows."""
    found: dict[str, Sample] = {}
    try:
        with tarfile.open(tar, "r:") as opened:
            for info in opened:
                if not info.isfile():
                    continue
                folder, _, file = info.name.rpartition("/")
                stem, _, ending = file.partition(".")
                name = f"{folder}/{stem}" if folder else stem
                member = Member(tar, info.offset_data, info.size, info.name)
                found.setdefault(name, Sample(name)).files[ending.lower()] = member
    except (OSError, tarfile.TarError) as error:
        raise ConfigError(f"{tar}: cannot be read as an uncompressed tar: {error}") from None
    return [sample for sample in found.values() if sample.picture is not None]


class TarSource:
    """Samples of WebDataset tars in the order of the names, and of the members inside."""

    shard_size: int | None = None
    batch: int | None = None

    def __init__(self, tars: Sequence[Path]) -> None:
        """Read all headers.

        Raises:
            ConfigError: not a tar, or no picture in any of them.
        """
        self._tars = sorted(tars)
        self._starts = np.cumsum([0, *(len(samples(tar)) for tar in self._tars)])
        self.n_tasks = self.available = int(self._starts[-1])
        if not self.n_tasks:
            raise ConfigError(f"{self._tars[0]}: no picture in it; known endings: {' '.join(images.SUFFIXES)}")

    @property
    def identity(self) -> dict[str, object]:
        """What makes two sources the same."""
        return {"tars": [[tar.name, tar.stat().st_size] for tar in self._tars]}

    def originals(self, start: int, stop: int) -> list[Original]:
        """Pictures `start` to `stop` - 1."""
        found = []
        for number in range(start, min(stop, self.n_tasks)):
            tar = int(np.searchsorted(self._starts, number, side="right")) - 1
            sample = samples(self._tars[tar])[number - self._starts[tar]]
            facts = _facts(sample)
            name = f"{self._tars[tar].stem}/{sample.name}"
            category = str(facts.get("category") or "")
            read = partial(_read, sample, facts)
            found.append(Original(f"{number:09d}", name, _text(sample, facts), "", read, category))
        return found


def _is_picture(ending: str) -> bool:
    return f".{ending.rpartition('.')[2]}" in images.SUFFIXES


def _facts(sample: Sample) -> dict[str, object]:
    if "json" not in sample.files:
        return {}
    try:
        facts = json.loads(sample.files["json"].read())
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _text(sample: Sample, facts: dict[str, object]) -> str:
    if "txt" in sample.files:
        return " ".join(sample.files["txt"].read().decode(errors="replace").split())
    return next((str(facts[key]) for key in ("prompt", "caption", "text") if facts.get(key)), "")


def _read(sample: Sample, facts: dict[str, object]) -> tuple[np.ndarray, bool]:
    member = sample.picture
    assert member is not None, "samples without a picture are passed over"
    data = member.read()
    if len(data) < member.size:
        raise ImageError(f"{member.tar} {member.name}: the tar ends inside this file")
    pixels_CHW, marked = images.read_marked(Path(member.name), data)
    return pixels_CHW, bool(facts.get("synthetic")) or marked
