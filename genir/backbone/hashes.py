"""SHA-256 of model files, which every worker of a run asks for: one process of a machine reads, the others wait."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path

from genir.storage import sha256

LARGE = 64 << 20  # bytes; smaller files are hashed in no time
_HEX = 64  # characters of a SHA-256


def sha256_once(path: Path) -> str:
    """Hex digest of a file that many processes ask for: the first one reads it, the others wait and take its answer.

    Answers of large files are kept in the user's cache folder by path, inode, size and times. Where that folder cannot
    be written or locked, every process reads the file itself.
    """
    facts = path.stat()
    if facts.st_size < LARGE:
        return sha256(path)
    identity = (path.resolve(), facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    answer = _cache() / hashlib.sha256(repr(identity).encode()).hexdigest()
    try:
        answer.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(answer, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return sha256(path)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        known = os.pread(fd, _HEX, 0).decode(errors="replace")
        if len(known) < _HEX:
            known = sha256(path)
            with contextlib.suppress(OSError):
                os.pwrite(fd, known.encode(), 0)
        return known
    finally:
        os.close(fd)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "genir" / "sha256"
