"""A folder of photographs and the texts that already describe them.

Captions are looked for in this order: `<name>.txt` beside the photograph, then a column of the tables
`metadata.jsonl`, `metadata.csv` or `metadata.parquet` beside or above it (Hugging Face's imagefolder layout).
"""

from __future__ import annotations

import csv
import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

from genir.errors import ConfigError, PromptError
from genir.images import SUFFIXES

TABLES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
NAME = "file_name"


class Photographs:
    """Every photograph below a folder, in the order of the names."""

    def __init__(self, folder: str, column: str) -> None:
        """List the files; nothing is decoded.

        Args:
            folder: searched through with all its subfolders; names with a leading dot are passed over.
            column: of the tables, that holds the caption.

        Raises:
            ConfigError: no such folder, or no photograph in it.
        """
        self.folder, self._column = Path(folder).expanduser(), column
        if not self.folder.is_dir():
            raise ConfigError(f"images {folder}: no such folder")
        names = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        self.names = sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))
        if not self.names:
            raise ConfigError(f"images {folder}: no photograph in it; known endings: {' '.join(SUFFIXES)}")

    @cached_property
    def sha256(self) -> str:
        """Of the names and sizes of all files: another set of photographs is another run."""
        facts = [[name, (self.folder / name).stat().st_size] for name in self.names]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def caption(self, name: str) -> str:
        """The text that describes a photograph, on one line; "" where there is none."""
        beside = (self.folder / name).with_suffix(".txt")
        try:
            text = beside.read_text(encoding="utf-8") if beside.is_file() else self._tables.get(name, "")
        except UnicodeDecodeError:
            raise PromptError(f"{beside}: not UTF-8 text; convert it") from None
        return " ".join(text.split())

    @cached_property
    def _tables(self) -> dict[str, str]:
        """Photograph -> caption; the table nearest to a photograph wins.

        Raises PromptError for a table that cannot be read.
        """
        captions: dict[str, str] = {}
        found = [path for kind in TABLES for path in self.folder.rglob(kind)]
        for path in sorted(found, key=lambda path: len(path.parts)):
            for number, row in enumerate(_rows(path), 1):
                if not isinstance(row, dict) or not isinstance(row.get(NAME), str) or Path(row[NAME]).is_absolute():
                    raise PromptError(f"{path} row {number}: no {NAME!r} relative to the table; every row needs one")
                text = row.get(self._column)
                if text is not None and not isinstance(text, str):
                    raise PromptError(f"{path} row {number}: {self._column!r} is {text!r}, expected text")
                name = (path.parent / row[NAME]).relative_to(self.folder).as_posix()
                captions[name] = text or captions.get(name, "")
        return captions


def _rows(path: Path) -> list[Any]:
    try:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        import pyarrow.parquet as pq

        return pq.read_table(path).to_pylist()
    except (ValueError, csv.Error, OSError) as error:  # pyarrow's errors are ValueErrors
        raise PromptError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None
