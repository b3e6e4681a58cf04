"""The training set of `genir learn`: a folder in Hugging Face's imagefolder layout, read and checked.

`metadata.jsonl` (in the folder, or anywhere under its `train/`) has one row an image: `file_name` relative to the
metadata file, `text` (the caption), `role` (positive or negative), and for objectives that compare two images `pair`
(one key for a positive and its negatives) and `origin` (what the pixels went through: photograph, roundtrip, sdedit).
Only a positive and a negative of equal pair *and* equal origin are compared: a camera photograph and a decoded picture
can be told apart without any quality.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from PIL import Image

from genir import images
from genir.errors import ImageError, TrainSetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np

Role = Literal["positive", "negative"]
Size = tuple[int, int]
"""Rows, columns."""

_SHOWN = 12  # lines named for each kind of fault


@dataclass(frozen=True, slots=True)
class Picture:
    """One row whose header was read; pixels come from `pixels`."""

    where: str
    """File and line of its row."""
    path: Path
    caption: str
    role: Role
    pair: str
    origin: str
    stored_HW: Size
    size_HW: Size
    """What it is reduced and cropped to."""

    @property
    def crop(self) -> tuple[int, int]:
        """(top, left) of the central crop, in pixels of the reduced picture."""
        (rows, columns), (height, width) = self._reduced(), self.size_HW
        return (rows - height) // 2, (columns - width) // 2

    def pixels(self) -> np.ndarray:
        """uint8 RGB (3, H, W) of `size_HW`: reduced until it just covers the size, then cropped in its middle.

        Raises TrainSetError for a file that cannot be decoded.
        """
        import numpy as np

        try:
            image = Image.fromarray(images.read_photograph(self.path).transpose(1, 2, 0))
        except ImageError as error:
            raise TrainSetError(f"{self.where}: {error}; remove the row") from error
        rows, columns = self._reduced()
        if image.size != (columns, rows):
            image = image.resize((columns, rows), Image.Resampling.LANCZOS)
        (top, left), (height, width) = self.crop, self.size_HW
        return np.asarray(image.crop((left, top, left + width, top + height))).transpose(2, 0, 1).copy()

    def _reduced(self) -> Size:
        factor = max(wanted / given for wanted, given in zip(self.size_HW, self.stored_HW, strict=True))
        return round(self.stored_HW[0] * factor), round(self.stored_HW[1] * factor)


@dataclass(frozen=True)
class TrainSet:
    """All pictures of a folder, in the order of its rows."""

    folder: Path
    pictures: list[Picture]
    sha256: str
    """Of the metadata and the sizes in bytes of all files."""

    def of(self, role: Role, origins: Sequence[str] | None) -> list[int]:
        """Indices of the pictures of a role, of these origins (None: any)."""
        wanted = (n for n, picture in enumerate(self.pictures) if picture.role == role)
        return [n for n in wanted if origins is None or self.pictures[n].origin in origins]

    def pairs(self) -> list[tuple[int, int]]:
        """(positive, negative) indices of equal pair, origin and size: one for every negative that has a positive."""
        positives = {self._pair_key(n): n for n, p in enumerate(self.pictures) if p.role == "positive" and p.pair}
        negatives = (n for n, picture in enumerate(self.pictures) if picture.role == "negative")
        return [(positives[key], n) for n in negatives if (key := self._pair_key(n)) in positives]

    def _pair_key(self, index: int) -> tuple[str, str, Size]:
        picture = self.pictures[index]
        return picture.pair, picture.origin, picture.size_HW


def read(folder: Path, sizes: Sequence[Size]) -> TrainSet:
    """Read every row and every picture's header, no pixels.

    A picture belongs to the size of nearest aspect ratio among those that it need not be enlarged for.

    Raises:
        TrainSetError: no metadata there, or rows that cannot be used; each kind of fault is named with its lines.
    """
    candidates = (folder / "metadata.jsonl", *folder.glob("train/**/metadata.jsonl"))
    files = sorted(path for path in candidates if path.is_file())
    if not files:
        raise TrainSetError(f"{folder}: no training set there (no metadata.jsonl); `genir prepare` makes one")
    faults: dict[str, list[str]] = {}
    pictures: list[Picture] = []
    digest = hashlib.sha256()
    seen: set[tuple[str, str, Size]] = set()
    for path in files:
        for number, line in _lines(path):
            digest.update(line)
            try:
                picture = _picture(line, path, f"{path.relative_to(folder)} line {number}", sizes)
                key = (picture.pair, picture.origin, picture.size_HW)
                if picture.role == "positive" and picture.pair:
                    if key in seen:
                        raise _Fault("a second positive of its pair and origin")
                    seen.add(key)
                digest.update(str(picture.path.stat().st_size).encode())
                pictures.append(picture)
            except _Fault as fault:
                name = "" if len(files) == 1 else f"{path.relative_to(folder)}:"
                faults.setdefault(str(fault), []).append(f"{name}{number}")
    if faults:
        total = sum(map(len, faults.values()))
        raise TrainSetError(f"{files[0] if len(files) == 1 else folder}: {total} unusable rows: {_in_words(faults)}")
    if not pictures:
        raise TrainSetError(f"{folder}: its metadata.jsonl has no rows")
    return TrainSet(folder, pictures, digest.hexdigest())


def in_words(pictures: Sequence[Picture]) -> str:
    """Counts of a list of pictures, by role and origin."""
    counts = Counter(f"{picture.role} {picture.origin}".rstrip() for picture in pictures)
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), reverse=True))


class _Fault(Exception):
    """Why a row cannot be used."""


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise TrainSetError(f"{path}: cannot be read: {error.strerror or error}") from error


def _picture(line: bytes, metadata: Path, where: str, sizes: Sequence[Size]) -> Picture:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise _Fault("not valid JSON") from None
    if not isinstance(row, dict):
        raise _Fault("not a JSON object")
    role: Any = row.get("role")
    if role not in get_args(Role):
        raise _Fault(f"role {json.dumps(role)[:40]} (allowed: {', '.join(get_args(Role))})")
    caption = _text(row, "text").strip()
    if role == "positive" and not caption:
        raise _Fault("empty caption")
    name = _text(row, "file_name")
    path = metadata.parent / name
    if not name or not path.is_file():
        raise _Fault("no such file")
    try:
        stored_HW = images.photograph_size(path)
    except ImageError:
        raise _Fault("not an image") from None
    size_HW = _size(stored_HW, sizes)
    return Picture(where, path, caption, role, _text(row, "pair"), _text(row, "origin"), stored_HW, size_HW)


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key, "")
    if not isinstance(value, str):
        raise _Fault(f"{key} is not a text")
    return value


def _size(stored_HW: Size, sizes: Sequence[Size]) -> Size:
    height, width = stored_HW
    fitting = [size for size in sizes if size[0] <= height and size[1] <= width]
    if not fitting:
        smallest = min(sizes, key=math.prod)
        raise _Fault(f"image smaller than {smallest[0]}x{smallest[1]}, what is learned at (size=[rows, columns])")

    def stretch(size: Size) -> tuple[float, int]:
        return abs(math.log(size[1] / size[0] * height / width)), -math.prod(size)

    return min(fitting, key=stretch)


def _in_words(faults: dict[str, list[str]]) -> str:
    def lines(numbers: list[str]) -> str:
        more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
        return f"line{'s' if len(numbers) > 1 else ''} {', '.join(numbers[:_SHOWN])}{more}"

    return "; ".join(f"{lines(numbers)}: {fault}" for fault, numbers in faults.items())
