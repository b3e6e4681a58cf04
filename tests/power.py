"""What a disk may hold after a power cut, at worst: nothing that was not fsynced."""

import contextlib
import os
import stat
import tempfile
import threading
from pathlib import Path

CHANGES = ("write", "fsync", "replace", "link", "unlink", "ftruncate")


class PowerCut:
    """Stands in for `os` inside genir.storage. Before the n-th change of the disk the process ends, every file is cut
    to its length at its last fsync, and every change of a name is undone whose folder was not fsynced since.
    """

    def __init__(self, cut_at, beside):
        """`beside`: a folder of the same disk, where the old files are kept."""
        self.changes, self.cut_at, self.beside = [], cut_at, beside
        self.unsynced = {}  # inode -> (length, descriptor)
        self.undo = []  # (folder, how)
        self.lock = threading.Lock()

    def __getattr__(self, name):
        if name not in (*CHANGES, "open"):
            return getattr(os, name)

        def changed(*args, **kwargs):
            with self.lock:
                if name != "open":
                    self.changes.append(name)
                    if len(self.changes) == self.cut_at:
                        self.lose()
                        os._exit(9)
                return getattr(self, f"_{name}")(*args, **kwargs)

        return changed

    def lose(self):
        for length, fd in self.unsynced.values():
            os.ftruncate(fd, length)
        for _, undo in reversed(self.undo):
            undo()

    def _open(self, path, flags, *mode):
        is_new = flags & os.O_CREAT and not os.path.lexists(path)
        fd = os.open(path, flags, *mode)
        if is_new:
            self._can_undo(path, lambda: Path(path).unlink(missing_ok=True))
        return fd

    def _write(self, fd, data):
        facts = os.fstat(fd)
        if facts.st_ino not in self.unsynced:
            self.unsynced[facts.st_ino] = (facts.st_size, os.open(f"/proc/self/fd/{fd}", os.O_RDWR))
        return os.write(fd, data)

    def _ftruncate(self, fd, size):
        os.ftruncate(fd, size)

    def _fsync(self, fd):
        os.fsync(fd)
        facts = os.fstat(fd)
        if stat.S_ISDIR(facts.st_mode):
            self.undo = [entry for entry in self.undo if entry[0] != facts.st_ino]
        elif facts.st_ino in self.unsynced:
            os.close(self.unsynced.pop(facts.st_ino)[1])

    def _replace(self, source, target):
        was, moved = self._kept(target), self._kept(source)
        os.replace(source, target)

        def undo():
            os.link(moved, source)
            os.unlink(target)
            if was:
                os.link(was, target)

        self._can_undo(target, undo)

    def _link(self, source, target):
        os.link(source, target)
        self._can_undo(target, lambda: os.unlink(target))

    def _unlink(self, path):
        was = self._kept(path)
        os.unlink(path)

        def undo():
            with contextlib.suppress(FileExistsError):
                os.link(was, path)

        self._can_undo(path, undo)

    def _can_undo(self, path, undo):
        self.undo.append((os.stat(Path(path).parent).st_ino, undo))

    def _kept(self, path):
        """A second name for what `path` is now."""
        if not os.path.lexists(path):
            return None
        kept = Path(tempfile.mkdtemp(prefix="kept-", dir=self.beside)) / "file"
        os.link(path, kept)
        return kept
