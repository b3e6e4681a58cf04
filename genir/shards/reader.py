"""Read finished shards back."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

from genir.shards import table
from genir.shards.files import Marker, Row, ShardFiles, read_marker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def markers(stage: Path, n_shards: int) -> Iterator[tuple[int, Marker]]:
    """The finished shards of a stage folder in order."""
    for shard in range(n_shards):
        marker = read_marker(ShardFiles.of(stage, shard, n_shards))
        if marker is not None:
            yield shard, marker


def rows(files: ShardFiles, columns: Sequence[str] | None = None) -> list[Row]:
    """The table of a finished shard in key order: all columns, or those named."""
    return table.decode(files.table.read_bytes(), columns)


def members(files: ShardFiles) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the tar of a finished shard; nothing when it kept nothing."""
    if not files.tar.exists():
        return
    with tarfile.open(files.tar, "r:") as tar:
        for info in tar:
            content = tar.extractfile(info)
            if content is not None:
                yield info.name, content.read()
