"""Prompt files: JSONL, parquet, .txt and .csv, checked whole before work starts and read by position afterwards.

A record is `prompt` (required), `category`, `id`, `negative`, `tags`, `source` and `licence`. Text files hold one
record a line, so that a sparse index of byte offsets finds any prompt: 100 million prompts cost a few megabytes.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from array import array
from bisect import bisect_right
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from genir.errors import PromptError
from genir.promptrecord import FIELDS, checked
from genir.records import Prompt
from genir.resources import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

EMPTY = "empty"  # instead of a file
STRIDE = 256  # one remembered offset for so many lines


class PromptFile(Protocol):
    """One file; `name` is what the user wrote, `sha256` the digest of its bytes."""

    name: str
    sha256: str
    count: int

    def read(self, start: int, stop: int) -> Iterator[Prompt]:
        """Prompts start .. stop - 1; raises PromptError at a record that cannot be used."""
        ...


class PromptFiles:
    """Several files, one after the other."""

    def __init__(self, names: Sequence[str]) -> None:
        """Index the files; their records are not checked yet (see `check`).

        Raises:
            PromptError: a missing, unreadable or empty file, an unknown ending, a header without `prompt`.
        """
        self.files: list[PromptFile] = [_open(name) for name in names]
        self._ends: list[int] = []
        for file in self.files:
            if file.count == 0:
                raise PromptError(f"{file.name}: no prompt in it")
            self._ends.append(file.count + (self._ends[-1] if self._ends else 0))
        self.count = self._ends[-1]

    def check(self) -> None:
        """Read every record once; raises PromptError at the first that cannot be used."""
        for file in self.files:
            for _ in file.read(0, file.count):
                pass

    def read(self, start: int, stop: int) -> Iterator[Prompt]:
        """Prompts start .. stop - 1, counted over all files."""
        while start < stop:
            index = bisect_right(self._ends, start)
            first = self._ends[index - 1] if index else 0
            end = min(stop, self._ends[index])
            yield from self.files[index].read(start - first, end - first)
            start = end


class EmptyPrompt:
    """The one empty prompt: unconditional sampling, as FluxGen's (arXiv 2504.15159); replicas say how often."""

    def __init__(self, name: str) -> None:
        self.name, self.sha256, self.count = name, hashlib.sha256().hexdigest(), 1

    def read(self, start: int, stop: int) -> Iterator[Prompt]:
        """The prompt, if it is asked for."""
        return iter([Prompt("")][start:stop])


def _open(name: str) -> PromptFile:
    if name == EMPTY:
        return EmptyPrompt(name)
    path = locate(name)
    kinds = {".jsonl": _json_lines, ".txt": _text_lines, ".csv": _csv_lines, ".parquet": ParquetPrompts}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise PromptError(f"{name}: unknown kind of prompt file {path.suffix!r}; known: {', '.join(kinds)}")
    try:
        return kind(name, path)
    except FileNotFoundError:
        raise PromptError(f"{name}: no such prompt file; genir's own is prompts/bank.jsonl") from None
    except IsADirectoryError:
        raise PromptError(f"{name}: is a folder, not a prompt file") from None
    except PermissionError:
        raise PromptError(f"{name}: no permission to read it") from None


class LineFile:
    """One record a line, found by position; `parse` makes a prompt of a line and says where it cannot."""

    def __init__(self, name: str, path: Path, parse: Callable[[str, str], Prompt], header_lines: int = 0) -> None:
        self.name, self.path, self._parse = name, path, parse
        digest, self.count, offset = hashlib.sha256(), 0, 0
        self._offsets = array("q")  # of every STRIDE-th record
        self._numbers = array("q")  # their line numbers, for messages
        with path.open("rb") as file:
            self._stamp = _stamp(file)
            for number, line in enumerate(file, 1):
                digest.update(line)
                if number > header_lines and line.strip():
                    if self.count % STRIDE == 0:
                        self._offsets.append(offset)
                        self._numbers.append(number)
                    self.count += 1
                offset += len(line)
        self.sha256 = digest.hexdigest()

    def read(self, start: int, stop: int) -> Iterator[Prompt]:
        """Prompts start .. stop - 1; raises PromptError at a record that cannot be used."""
        if start >= stop:
            return
        with _again(self.path, self.name, self._stamp) as file:
            file.seek(self._offsets[start // STRIDE])
            numbered = enumerate(file, self._numbers[start // STRIDE])
            records = ((number, line) for number, line in numbered if line.strip())
            found = 0
            for number, line in islice(records, start % STRIDE, start % STRIDE + stop - start):
                where = f"{self.name} line {number}"
                yield self._parse(_decode(line, where), where)
                found += 1
        if found < stop - start:
            raise PromptError(f"{self.name}: the file became shorter while it was in use")


def _decode(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError:
        raise PromptError(f"{where}: not UTF-8; save the file as UTF-8") from None


def _text_lines(name: str, path: Path) -> LineFile:
    return LineFile(name, path, lambda line, where: checked({"prompt": line}, where))


def _json_lines(name: str, path: Path) -> LineFile:
    def parse(line: str, where: str) -> Prompt:
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise PromptError(f"{where}: not valid JSON: {error.msg} at column {error.colno}") from None
        except (ValueError, RecursionError) as error:  # a number or a nesting beyond Python's bounds
            raise PromptError(f"{where}: not usable JSON: {error}") from None
        return checked(record, where)

    return LineFile(name, path, parse)


def _csv_lines(name: str, path: Path) -> LineFile:
    def split(line: str, where: str) -> list[str]:
        try:
            return next(csv.reader([line], strict=True))
        except (csv.Error, StopIteration):
            raise PromptError(f"{where}: not one whole CSV record (a quoted line break?)") from None

    with path.open("rb") as file:
        header = [column.strip() for column in split(_decode(file.readline(), f"{name} line 1"), f"{name} line 1")]
    if "prompt" not in header:
        raise PromptError(f"{name} line 1: the header has no column prompt; it has {', '.join(header) or 'none'}")

    def parse(line: str, where: str) -> Prompt:
        values = split(line, where)
        if len(values) != len(header):
            raise PromptError(f"{where}: {len(values)} values for {len(header)} columns; quote the prompt")
        return checked(dict(zip(header, values, strict=True)), where)

    return LineFile(name, path, parse, header_lines=1)


def _stamp(file: BinaryIO) -> tuple[int, int]:
    """Size and time of the last change: what tells an edited file from the one that was hashed."""
    facts = os.fstat(file.fileno())
    return facts.st_size, facts.st_mtime_ns


def _again(path: Path, name: str, stamp: tuple[int, int]) -> BinaryIO:
    """Open a file that was there before, unless it was edited since: its prompts would belong to no plan."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise PromptError(f"{name}: the file was removed while it was in use") from None
    if _stamp(file) != stamp:
        file.close()
        raise PromptError(f"{name}: the file was changed while it was in use; put the old one back and run again")
    return file


class ParquetPrompts:
    """A parquet file with a string column `prompt`."""

    def __init__(self, name: str, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.name, self.path = name, path
        with path.open("rb") as file:
            self._stamp = _stamp(file)
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        try:
            meta = pq.read_metadata(path)
        except (pa.ArrowException, OSError) as error:
            raise PromptError(f"{name}: not a parquet file: {str(error).splitlines()[0]}") from None
        names = meta.schema.to_arrow_schema().names
        if "prompt" not in names:
            raise PromptError(f"{name}: no column prompt; it has {', '.join(names)}")
        self.count = meta.num_rows
        self._columns = [column for column in FIELDS if column in names]
        self._ends = [0]
        for group in range(meta.num_row_groups):
            self._ends.append(self._ends[-1] + meta.row_group(group).num_rows)

    def read(self, start: int, stop: int) -> Iterator[Prompt]:
        """Prompts start .. stop - 1; raises PromptError at a record that cannot be used."""
        if start >= stop:
            return
        first, last = bisect_right(self._ends, start) - 1, bisect_right(self._ends, stop - 1) - 1
        position = self._ends[first]
        for batch in self._batches(list(range(first, last + 1))):
            wanted = batch.slice(max(0, start - position), max(0, stop - max(start, position)))
            for number, record in enumerate(wanted.to_pylist(), max(start, position) + 1):
                yield checked(record, f"{self.name} row {number}")
            position += batch.num_rows
            if position >= stop:
                return

    def _batches(self, groups: list[int]) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with _again(self.path, self.name, self._stamp) as raw, pq.ParquetFile(raw) as file:
                yield from file.iter_batches(4096, row_groups=groups, columns=self._columns)
        except (pa.ArrowException, OSError) as error:
            raise PromptError(f"{self.name}: damaged parquet file: {str(error).splitlines()[0]}") from None
