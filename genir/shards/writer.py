"""Write one shard so that a kill at any instant loses at most the batch in flight.

The tar grows as `NNNNNN.part`, whose lock is the claim. After every batch: tar bytes, fsync, one journal line, fsync.
Finishing gives the part a second name (`.tar`), so that its lock is held until the marker is published; then the
journal and the first name go. Every state in between is continued by opening the shard again.
"""

from __future__ import annotations

import logging
import os
import tarfile
from collections import Counter
from typing import TYPE_CHECKING

from genir import storage
from genir.errors import ShardError
from genir.shards import table
from genir.shards.files import MAX_TRIES, Entry, Marker, Row, ShardFiles, read_journal, read_marker, write_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from genir.records import Columns

log = logging.getLogger("genir")

_BLOCK = tarfile.BLOCKSIZE
_COPY = 1 << 20


def claim(files: ShardFiles, upto: int) -> int | None:
    """Lock the shard for this process; None when another process has it, all its keys below `upto` are done, or it is
    quarantined.

    Returns:
        The descriptor that holds the lock, to be given to a ShardWriter.
    """
    with storage.explained(files.part):
        files.folder.mkdir(exist_ok=True)  # no parents: a run that was moved must not begin again here
        is_begun = files.part.exists()
        fd = storage.try_lock(files.part)
        if fd is None:
            return None
        if is_begun:  # only then: looking through a folder of many thousand files takes its time
            for stale in files.folder.glob(f"{files.name}.*.tmp"):
                storage.remove(stale)
        storage.refresh(files.folder)
        marker = read_marker(files)
        if marker is not None and marker.covered >= upto:
            # done by somebody between our look at the marker and the lock, or killed before it could tidy up
            _tidy(files, fd, marker)
            return None
        if marker is not None and files.tar.exists() and files.part.samefile(files.tar):
            # killed between publishing and tidying: the part is still a name of the finished tar, which must stay
            _tidy(files, fd, marker)
            return claim(files, upto)
        if _is_quarantined(files):
            os.close(fd)
            return None
        return fd


def _is_quarantined(files: ShardFiles) -> bool:
    """May nobody take this shard? Asked under its lock: whoever began it before is gone."""
    if files.quarantined.exists():
        return True
    if not files.tries.exists():
        return False
    tries = files.tries.read_text(errors="replace").splitlines()
    if len(tries) < MAX_TRIES:
        return False
    storage.rename(files.tries, files.quarantined)
    log.error(
        "shard %s is quarantined: its last %d workers ended before they had added a batch (%s); see logs/, then delete "
        "%s to try again",
        files.name,
        len(tries),
        "; ".join(tries),
        files.quarantined,
    )
    return True


def _tidy(files: ShardFiles, fd: int, marker: Marker) -> None:
    """Drop what the marker has made superfluous and give up the claim."""
    entries, _ = read_journal(files)
    if not entries or entries[-1].batches <= marker.batches:  # else: a longer run of this shard is in the making
        storage.remove(files.journal)
        storage.remove(files.part)
    os.close(fd)


class ShardWriter:
    """Continues (or begins) a claimed shard; use as a context manager, which frees the claim.

    Attributes:
        batches: how many batches of the shard are safe on the disk.
    """

    def __init__(
        self,
        files: ShardFiles,
        lock: int,
        plan: str,
        columns: Columns,
        finished: Callable[[ShardFiles], None] = lambda files: None,
    ) -> None:
        """Recover what an earlier process left.

        Args:
            files: the shard's files.
            lock: what `claim` returned.
            plan: digest of the run's plan, stored in the marker.
            columns: the table's columns.
            finished: told when the marker is on the disk.

        Raises:
            ShardError: the disk cannot be written.
        """
        self._finished = finished
        self._is_blamed = False
        self.files, self._fd, self._plan, self._columns = files, lock, plan, columns
        self._journal = -1
        try:
            with storage.explained(files.part):
                self.rows = self._recover()
                self._journal = os.open(files.journal, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
                storage.note(files.tries, f"process {os.getpid()} on {os.uname().nodename}")
        except BaseException:
            os.close(lock)
            raise

    def __enter__(self) -> ShardWriter:
        return self

    def blame(self) -> None:
        """What ends this process now may be the shard's fault: let it count as one of its tries."""
        self._is_blamed = True

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        # A second Ctrl-C does not wait for the thread that writes: the end of the process closes what it writes to,
        # else it could go on in whatever file is opened next.
        if self._journal >= 0 and kind is not KeyboardInterrupt:
            if not self._is_blamed:
                storage.remove(self.files.tries)
            os.close(self._journal)
            os.close(self._fd)

    def add(self, rows: Sequence[Row], members: Mapping[str, bytes]) -> None:
        """Append one batch: its rows and the tar members of its kept samples, safe on the disk on return.

        Raises:
            ShardError: the disk cannot be written; the shard stays as it was after the batch before.
        """
        data = b"".join(_member(name, content) for name, content in members.items())
        with storage.explained(self.files.part):
            if data:
                storage.append(self._fd, data)
                storage.sync(self._fd)
            entry = Entry(self.batches + 1, self._offset + len(data), list(rows))
            storage.append(self._journal, entry.encode())
            storage.sync(self._journal)
            storage.remove(self.files.tries)
        self._offset, self.batches = entry.offset, entry.batches
        self.rows.extend(rows)

    def finish(self, covered: int) -> Marker:
        """Publish tar, table and, last, the marker; the claim is given up.

        Args:
            covered: every task of the shard with a key below this was added.

        Raises:
            ShardError: the disk cannot be written; the next launch finishes the shard.
        """
        files = self.files
        with storage.explained(files.part):
            rows = sorted(self.rows, key=lambda row: row["key"])
            storage.write(files.table, table.encode(rows, self._columns))
            published = [files.table]
            if self._offset:
                storage.append(self._fd, _end(self._offset))
                storage.sync(self._fd)
                storage.share(files.part, files.tar)
                published.append(files.tar)
            marker = self._marker(rows, published, covered)
            storage.write(files.marker, marker.encode())
            storage.remove(files.tries)
            os.close(self._journal)
            self._journal = -1
            _tidy(files, self._fd, marker)
        self._finished(files)
        return marker

    def _marker(self, rows: list[Row], published: list[Path], covered: int) -> Marker:
        return Marker(
            shard=self.files.name,
            plan=self._plan,
            batches=self.batches,
            covered=covered,
            tasks=len({row["key"] for row in rows}),  # a task may have several rows
            kept=len({row["key"] for row in rows if row["verdict"] == "kept"}),
            reasons=dict(sorted(Counter(row["reason"] for row in rows if row["verdict"] != "kept").items())),
            data_bytes=self._offset,
            files={
                path.name: {"size": path.stat().st_size, "sha256": storage.sha256(path)} for path in sorted(published)
            },
        )

    def _recover(self) -> list[Row]:
        """Bring part and journal to the state after the last whole batch; returns the rows so far."""
        files = self.files
        if files.marker.exists() and read_marker(files) is None and not files.journal.exists():
            # half-written, or its files are gone or cut: nothing here can be trusted
            bad = storage.set_aside(files.marker)
            log.warning("%s: not what its files are; kept as %s, the shard is made again", files.marker, bad.name)
        marker = read_marker(files)
        entries, length = read_journal(files)
        size = os.fstat(self._fd).st_size
        while entries and entries[-1].offset > size:
            length -= len(entries.pop().encode())
        if marker is not None and (not entries or entries[-1].batches < marker.batches):
            entries = [self._reopen(marker)]
            write_journal(files, entries)
        elif not files.journal.exists() or length < files.journal.stat().st_size:
            write_journal(files, entries)
        self.batches = entries[-1].batches if entries else 0
        self._offset = entries[-1].offset if entries else 0
        storage.truncate(self._fd, self._offset)
        return [row for entry in entries for row in entry.rows]

    def _reopen(self, marker: Marker) -> Entry:
        """Continue a shard that a smaller `limit` had finished; its tar stays until the new one is done."""
        storage.truncate(self._fd, 0)
        if marker.data_bytes:
            left = marker.data_bytes
            with self.files.tar.open("rb") as tar:
                while left and (chunk := tar.read(min(_COPY, left))):
                    storage.append(self._fd, chunk)
                    left -= len(chunk)
            storage.sync(self._fd)
        rows = table.decode(self.files.table.read_bytes())
        return Entry(marker.batches, marker.data_bytes, rows)


def _member(name: str, content: bytes) -> bytes:
    """One tar member: header with fixed owner, mode and time, content, padding."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    if len(name) > tarfile.LENGTH_NAME:
        raise ShardError(f"{name}: longer than the {tarfile.LENGTH_NAME} characters a tar member may have")
    return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % _BLOCK)


def _end(offset: int) -> bytes:
    """Two empty blocks, padded to a whole record, as every tar ends."""
    return bytes(2 * _BLOCK + -(offset + 2 * _BLOCK) % tarfile.RECORDSIZE)
