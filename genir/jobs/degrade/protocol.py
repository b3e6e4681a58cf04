"""Test pairs that others can make again: which crop of which picture, degraded how, in a file with a hash.

DreamClear (Ai et al. 2024, section 4.1) tests on 3,000 random crops of a validation set, of 1024 px against 256 px; the
crops and degradations were not published. A manifest is published instead of the pictures.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genir import images
from genir.config.degradation import Degradation
from genir.degrade.degrader import Cut, Degrader, Recipe
from genir.errors import ConfigError, ImageError
from genir.sources import Original, Source

FILE = "protocol.jsonl"
PROTOCOLS = {"dreamclear": ("dreamclear", 3000)}
"""Name -> preset, pairs."""
_FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """A protocol: all that is to be done, and to which pixels."""

    header: dict[str, Any]
    lines: list[dict[str, Any]]
    """Of the pairs: picture, SHA-256 of its pixels, crop, patch, steps."""

    @property
    def sha256(self) -> str:
        """Of header and lines."""
        return hashlib.sha256(self._body()).hexdigest()

    @property
    def degradation(self) -> Degradation:
        """From which the steps were drawn."""
        return Degradation.model_validate(self.header["degradation"])

    def _body(self) -> bytes:
        return b"".join(f"{json.dumps(row, separators=(',', ':'))}\n".encode() for row in (self.header, *self.lines))

    def encode(self) -> bytes:
        """The file: header, pairs, and the hash of these lines as the last."""
        return self._body() + f'{{"sha256":"{self.sha256}"}}\n'.encode()


def read(path: Path) -> Manifest:
    """A published manifest; raises ConfigError for another file, or one that was changed."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        manifest, told = Manifest(rows[0], rows[1:-1]), rows[-1]["sha256"]
        known = manifest.header["format"] == _FORMAT
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ConfigError(f"--protocol {path}: not a manifest of genir ({error!r})") from None
    if not known or manifest.sha256 != told:
        raise ConfigError(f"--protocol {path}: the lines do not have the hash that the last line states; get it again")
    return manifest


def drawn(name: str, source: Source, seed: int, pairs: int | None = None) -> Manifest:
    """The manifest of a protocol for these pictures: every picture in turn, until there are enough pairs.

    Raises:
        ConfigError: no such protocol, or no picture is large enough.
    """
    if name not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise ConfigError(f"--protocol {name}: no such protocol; there are {known}, or name a manifest (.jsonl)")
    chosen, count = PROTOCOLS[name]
    degrade = Degrader(chosen, seed)
    usable = [found for one in source.originals(0, source.available) if (found := _usable(one, degrade)) is not None]
    if not usable:
        raise ConfigError(f"--protocol {name}: no picture is as large as its crops of {degrade.degradation.crop}")
    lines = []
    for number in range(pairs or count):
        original, size_HW, sha256 = usable[number % len(usable)]
        epoch = number // len(usable)
        recipe = degrade.recipe(original.key, epoch, size_HW)
        crop, patch = ([cut.top, cut.left, cut.height, cut.width] for cut in (recipe.crop, recipe.patch))
        lines.append(
            {"source": original.name, "pixels_sha256": sha256, "crop": crop, "patch": patch, "steps": recipe.steps}
        )
    header = {
        "protocol": name,
        "format": _FORMAT,
        "pairs": len(lines),
        "pictures": len(usable),
        "seed": seed,
        "degradation": degrade.degradation.model_dump(mode="json"),
    }
    return Manifest(json.loads(json.dumps(header)), json.loads(json.dumps(lines)))


def _usable(original: Original, degrade: Degrader) -> tuple[Original, tuple[int, int], str] | None:
    if original.reason:
        return None
    try:
        pixels_CHW, _ = original.read()
        size_HW = (int(pixels_CHW.shape[1]), int(pixels_CHW.shape[2]))
        degrade.recipe(original.key, 0, size_HW)
    except ImageError:  # not to be read, or too small
        return None
    return original, size_HW, images.pixels_sha256(pixels_CHW)


class ProtocolSource:
    """The pairs of a manifest as pictures of their own, found in a source by their names."""

    shard_size: int | None = None
    batch: int | None = None

    def __init__(self, manifest: Manifest, source: Source) -> None:
        """Raises ConfigError when pictures are missing."""
        self._manifest = manifest
        self._found = {one.name: one for one in source.originals(0, source.available) if not one.reason}
        self.n_tasks = self.available = len(manifest.lines)
        missing = sorted({line["source"] for line in manifest.lines} - self._found.keys())
        if missing:
            raise ConfigError(f"--protocol: {len(missing)} of its pictures are not in the input, first {missing[0]!r}")

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two sources the same."""
        return {"protocol": self._manifest.sha256}

    def originals(self, start: int, stop: int) -> list[Original]:
        """Pictures of the pairs `start` to `stop` - 1."""
        return [self._original(number) for number in range(start, min(stop, self.n_tasks))]

    def _original(self, number: int) -> Original:
        line = self._manifest.lines[number]
        original = self._found[line["source"]]

        def read() -> tuple[np.ndarray, bool]:
            pixels_CHW, synthetic = original.read()
            if images.pixels_sha256(pixels_CHW) != line["pixels_sha256"]:
                raise ImageError(f"{original.name}: other pixels than the protocol's; its LQ would not be comparable")
            return pixels_CHW, synthetic

        return Original(f"{number:09d}", original.name, original.text, "", read)


class ProtocolDegrader(Degrader):
    """Makes the LQs of a manifest: nothing is drawn."""

    def __init__(self, manifest: Manifest, device: Any) -> None:
        super().__init__(manifest.degradation, int(manifest.header["seed"]), device)
        self._lines = manifest.lines

    def recipe(self, key: str, epoch: int, size_HW: tuple[int, int]) -> Recipe:
        """Of the pair with that number."""
        line = self._lines[int(key)]
        return Recipe(Cut(*line["crop"]), Cut(*line["patch"]), line["steps"])
