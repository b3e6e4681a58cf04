"""Names, marker and journal of a shard: what tells finished work from unfinished."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genir import storage

Row = dict[str, Any]
MAX_TRIES = 3  # so many processes may die of a shard
FLAT_LIMIT = 10_000  # more shards than this go into subfolders of a thousand


@dataclass(frozen=True)
class ShardFiles:
    """The files a shard may have."""

    folder: Path
    name: str

    @classmethod
    def of(cls, stage: Path, shard: int, n_shards: int) -> ShardFiles:
        """The files of shard number `shard` among `n_shards` of a stage folder (`<run>/image`)."""
        folder = stage if n_shards <= FLAT_LIMIT else stage / f"{shard // 1000:03d}"
        return cls(folder, f"{shard:06d}")

    def _file(self, suffix: str) -> Path:
        return self.folder / f"{self.name}.{suffix}"

    @property
    def tar(self) -> Path:
        """WebDataset tar of the kept samples; absent when none was kept."""
        return self._file("tar")

    @property
    def table(self) -> Path:
        """Parquet, one row a task."""
        return self._file("parquet")

    @property
    def marker(self) -> Path:
        """JSON, written last: the shard is done."""
        return self._file("done")

    @property
    def part(self) -> Path:
        """The tar in the making; carries the claim (its lock)."""
        return self._file("part")

    @property
    def tries(self) -> Path:
        """One line a process that began this shard and has not added a batch since."""
        return self._file("tries")

    @property
    def quarantined(self) -> Path:
        """What `tries` becomes when it is too long: nobody takes the shard until this file is deleted."""
        return self._file("quarantined")

    @property
    def journal(self) -> Path:
        """One line a finished batch of the tar in the making."""
        return self._file("journal")


@dataclass(frozen=True)
class Marker:
    """What a `.done` file says."""

    shard: str
    plan: str
    """Digest of the run's plan."""
    batches: int
    """Finished batches."""
    covered: int
    """Every task of the shard with a smaller key is in it; less than the shard's end when a `limit` ended it early."""
    tasks: int
    kept: int
    reasons: dict[str, int]
    """Rejected and failed tasks by reason."""
    data_bytes: int
    """Length of the tar's samples, without the end blocks: where a longer run continues."""
    files: dict[str, dict[str, int | str]]
    """File name -> size and sha256."""

    def encode(self) -> bytes:
        """The bytes of the `.done` file."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()


def parse_marker(content: bytes) -> Marker | None:
    """The marker that a `.done` file holds; None for other bytes."""
    try:
        marker = Marker(**json.loads(content))
    except (ValueError, TypeError):
        return None
    return marker if isinstance(marker.files, dict) else None


def read_marker(files: ShardFiles) -> Marker | None:
    """The marker, if the shard is done and its files have the sizes it states; None otherwise.

    Raises:
        ShardError: the disk cannot be read.
    """
    with storage.explained(files.marker):
        try:
            marker = parse_marker(files.marker.read_bytes())
            facts = marker.files.items() if marker else ()
            whole = all(_has_size(files.folder / name, fact["size"]) for name, fact in facts)
        except FileNotFoundError:
            return None
    return marker if whole else None


def _has_size(path: Path, size: int | str) -> bool:
    # the second question is for network file systems that remember the file which this one replaced
    return path.stat().st_size == size or storage.true_size(path) == size


@dataclass(frozen=True)
class Entry:
    """One line of the journal: after so many batches the tar is so long, and these rows are new."""

    batches: int
    offset: int
    rows: list[Row]

    def encode(self) -> bytes:
        """A line that carries its own checksum, so that a torn one is recognised."""
        body = json.dumps([self.batches, self.offset, self.rows], separators=(",", ":"))
        return f"{zlib.crc32(body.encode()):08x} {body}\n".encode()

    @classmethod
    def decode(cls, line: bytes) -> Entry | None:
        """The entry of a whole line; None for a torn or foreign one."""
        checksum, _, body = line.rstrip(b"\n").partition(b" ")
        if not line.endswith(b"\n") or checksum != f"{zlib.crc32(body):08x}".encode():
            return None
        return cls(*json.loads(body))


def read_journal(files: ShardFiles) -> tuple[list[Entry], int]:
    """The whole entries from the journal's beginning, and their length in bytes."""
    entries: list[Entry] = []
    length = 0
    try:
        with files.journal.open("rb") as file:
            for line in file:
                entry = Entry.decode(line)
                if entry is None or (entries and entry.batches <= entries[-1].batches):
                    break
                entries.append(entry)
                length += len(line)
    except FileNotFoundError:
        pass
    return entries, length


def write_journal(files: ShardFiles, entries: list[Entry]) -> None:
    """Replace the journal by these entries."""
    storage.write(files.journal, b"".join(entry.encode() for entry in entries))
