"""Files that are whole or absent, after any crash.

Every change of the disk goes through the few functions here, in an order that survives a kill or a power cut at any
point: data first, fsync, then the name. Tests end the process before and after each of these calls.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from genir.errors import ShardError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIXES = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again, nothing is lost",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again, nothing is lost",
    errno.EROFS: "the file system is read-only; choose another run directory (run=...)",
    errno.EACCES: "no permission to write there; choose another run directory (run=...)",
    errno.ENOENT: "the run directory was moved or removed while it was in use; run the same command on it (run=...)",
    errno.ENOTDIR: "a part of this path is a file; choose another run directory (run=...)",
    errno.EEXIST: "a file or a dangling link has this name; choose another run directory (run=...)",
    errno.ENAMETOOLONG: "shorten it (run=...)",
    errno.EPERM: "not allowed there, or the file system has no hard links; choose another run directory (run=...)",
    # a disk that fails, or a network file system whose server was away: no shard is to blame for it
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.ESHUTDOWN),
        "the file system failed or was away, its log may say why; run the same command again, nothing recorded is lost",
    ),
}


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the disk faults a user can mend into one line; every other OSError is a bug and keeps its traceback."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FIXES:
            raise
        raise ShardError(f"{path}: {error.strerror}: {_FIXES[error.errno]}") from error


def append(fd: int, data: bytes) -> None:
    """Write all of `data` at the file's position."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync(fd: int) -> None:
    """Wait until the file's bytes are on the disk."""
    os.fsync(fd)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def truncate(fd: int, size: int) -> None:
    """Cut the file to `size` bytes and stand at its end."""
    os.ftruncate(fd, size)
    os.lseek(fd, size, os.SEEK_SET)


def _write_new(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        append(fd, data)
        sync(fd)
    except BaseException:
        remove(path)  # on a full disk it would hold the space that the user is asked to free
        raise
    finally:
        os.close(fd)


def _temporary(path: Path) -> Path:
    """A name beside `path` that no other process uses; a crash may leave it behind.

    Host and process number say whose it was; containers may share both, so a random part tells them apart.
    """
    return path.with_name(f"{path.name}.{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def write(path: Path, data: bytes) -> None:
    """Create or replace a file: its old or its new content is there, never a part of one."""
    temporary = _temporary(path)
    _write_new(temporary, data)
    os.replace(temporary, path)
    sync_folder(path.parent)


def place(path: Path, data: bytes, scratch: Path) -> None:
    """Create or replace a file by way of a folder of the same file system; `path` is whole or absent after a kill.

    After a power cut it is so only if `settle` was called: one wait for many files.
    """
    temporary = _temporary(scratch / path.name)
    temporary.write_bytes(data)
    os.replace(temporary, path)


def settle() -> None:
    """Wait until all that was written is on the disk."""
    os.sync()


@contextlib.contextmanager
def writing(path: Path, scratch: Path | None = None) -> Iterator[BinaryIO]:
    """Create or replace a file piece by piece: it has its name only when the block was left without an error.

    Until then it lies beside `path`, or in the folder `scratch` of the same file system.
    """
    temporary = _temporary((scratch or path.parent) / path.name)
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            sync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    sync_folder(path.parent)


def publish(path: Path, data: bytes) -> bool:
    """Create a file once, whole, whoever is first among many processes; False when it was there already."""
    temporary = _temporary(path)
    _write_new(temporary, data)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
        sync_folder(path.parent)
    return True


def share(source: Path, target: Path) -> None:
    """Give the file a second name, replacing what had it; the first name stays (and with it its lock)."""
    if target.exists():
        if target.samefile(source):
            return
        temporary = _temporary(target)
        os.link(source, temporary)
        os.replace(temporary, target)
    else:
        os.link(source, target)
    sync_folder(target.parent)


def refresh(folder: Path) -> None:
    """Have a network file system forget which names it believes to be absent: reading a folder asks the server."""
    with os.scandir(folder) as entries:
        next(entries, None)


def true_size(path: Path) -> int:
    """Bytes of a file; asked of the open file, because a network file system may answer `stat` from its memory.

    Raises:
        FileNotFoundError: there is none.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.fstat(fd).st_size
    finally:
        os.close(fd)


def hollow(path: Path, size: int) -> None:
    """Put a file of that size without content in the place of `path`: it takes no room on the disk."""
    temporary = _temporary(path)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.ftruncate(fd, size)
    finally:
        os.close(fd)
    os.replace(temporary, path)


def remove(path: Path) -> None:
    """Delete a file if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def rename(source: Path, target: Path) -> None:
    """Give a file another name, replacing what had it."""
    os.replace(source, target)
    sync_folder(target.parent)


def note(path: Path, line: str) -> None:
    """Add a line to a file; it may be lost with the power."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        append(fd, f"{line}\n".encode())
    finally:
        os.close(fd)


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be trusted to `<name>.bad` (or .bad2, ...) and return the new name."""
    count = 1
    while (bad := path.with_name(f"{path.name}.bad{'' if count == 1 else count}")).exists():
        count += 1
    os.replace(path, bad)
    sync_folder(path.parent)
    return bad


def try_lock(path: Path) -> int | None:
    """Open (or create) the file under an exclusive lock; None when another process holds it.

    The lock is the kernel's (flock): a kill -9 frees it. Never fork while holding it: the child would keep it.
    """
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _has_name(fd, path):
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError:
            os.close(fd)
            raise
        os.close(fd)  # its holder removed the file after we opened it: the next file of that name is what counts


def _has_name(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def check_locks(folder: Path) -> None:
    """Make sure that flock excludes a second claimer in this folder.

    Raises:
        ShardError: the file system does not implement locks.
    """
    probe = _temporary(folder / ".flock")
    first = second = None
    try:
        first = try_lock(probe)
        second = try_lock(probe)
        works = first is not None and second is None
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL):
            raise
        works = False
    finally:
        for fd in (first, second):
            if fd is not None:
                os.close(fd)
        remove(probe)
    if not works:
        raise ShardError(
            f"{folder}: this file system has no working file locks (flock), which keep two workers off one shard; "
            "choose a run directory on another file system, mount this one with locks (Lustre: -o flock), or write "
            f"run=file://{folder.absolute()}, which does without them"
        )


def free_bytes(folder: Path) -> int:
    """Bytes that this user can still write on the folder's file system."""
    return shutil.disk_usage(folder).free


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
