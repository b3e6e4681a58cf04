"""Where there are no locks: one process holds part i of n of a run, and all who hold a part agree on n.

A lease is an object that its holder renews. Whether a holder lives is judged by watching whether the object changes,
never by comparing clocks; a holder that died on this machine is recognised at once by its lock.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from typing import TYPE_CHECKING, Any

from genir import storage
from genir.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from genir.objectstore import ObjectStore
    from genir.ranks import Worker

log = logging.getLogger("genir")

BEAT = 15.0  # seconds between renewals
SILENCE = 75.0  # a lease that did not change for so many seconds belongs to nobody
_FOLDER = "leases/"


class Lease:
    """Part `worker.rank` of `worker.world`, until `release`."""

    def __init__(self, store: ObjectStore, worker: Worker, scratch: Path) -> None:
        """Take the part.

        Args:
            store: the run.
            worker: which part, of how many.
            scratch: a folder of this machine, the same for every worker of the run.

        Raises:
            PlanError: another process holds this part, or parts of another number.
        """
        self.worker, self._store, self._scratch = worker, store, scratch
        self._name = f"{_FOLDER}{worker.rank}-of-{worker.world}.json"
        self._token, self._beats, self._taken_by = secrets.token_hex(8), 0, ""
        lock = storage.try_lock(self._lock_of(worker.rank))
        if lock is None:
            raise self._refusal(self._name, "another process of this machine")
        self._lock = lock
        try:
            self._before = os.pread(lock, 100, 0).decode(errors="replace")
            storage.truncate(lock, 0)
            storage.append(lock, self._token.encode())
            while not store.create(self._name, self._content()):
                self._outlive([self._name])
            mine = f"-of-{worker.world}.json"
            others = (name for name in store.listing() if name.startswith(_FOLDER) and not name.endswith(mine))
            self._outlive(others)
        except BaseException:
            os.close(lock)
            raise

    def renew(self) -> None:
        """Show that the holder lives."""
        holder = self._holder()
        if holder.get("token") != self._token:
            self._taken_by = holder.get("host", "somebody")
            return
        self._beats += 1
        self._store.write(self._name, self._content())

    def check(self) -> None:
        """Raises PlanError when the part is no longer ours: this process was still for too long."""
        if self._taken_by or self._holder().get("token") != self._token:
            raise self._refusal(self._name, self._taken_by or "somebody else")

    def release(self) -> None:
        """Give the part back."""
        try:
            if self._holder().get("token") == self._token:
                self._store.delete(self._name)
        finally:
            os.close(self._lock)

    def _content(self) -> bytes:
        return json.dumps(
            {"host": os.uname().nodename, "pid": os.getpid(), "token": self._token, "beat": self._beats}
        ).encode()

    def _holder(self) -> dict[str, Any]:
        return _facts(self._store.read([self._name]).get(self._name, b""))

    def _outlive(self, names: Iterable[str]) -> None:
        """Wait until those leases are given back, or delete them once they are known to be dead."""
        watched = self._store.read(names)
        until, told = time.monotonic() + SILENCE, False
        while watched:
            now = self._store.read(watched)
            for name in [name for name in watched if name not in now]:
                del watched[name]
            for name, content in list(watched.items()):
                if now[name] != content:
                    raise self._refusal(name, _facts(now[name]).get("host", "somebody"))
                if self._died_here(name, content) or time.monotonic() > until:
                    self._store.delete(name)
                    del watched[name]
            if watched:
                if not told:
                    log.info(
                        "%s: waiting up to %.0f s to see whether an earlier worker is gone", self._store.url, SILENCE
                    )
                    told = True
                time.sleep(min(BEAT, SILENCE) / 5)

    def _died_here(self, name: str, content: bytes) -> bool:
        """Was this machine's scratch folder the holder's, and is its lock free?"""
        rank, token = name.removeprefix(_FOLDER).partition("-")[0], _facts(content).get("token")
        if rank == str(self.worker.rank):  # we hold that lock ourselves: whoever had it before is gone
            return token == self._before
        lock = self._lock_of(rank)
        if not lock.exists() or lock.read_text() != token:
            return False
        fd = storage.try_lock(lock)
        if fd is None:
            return False
        os.close(fd)
        return True

    def _lock_of(self, rank: int | str) -> Path:
        return self._scratch / f"{rank}.lock"

    def _refusal(self, name: str, who: str) -> PlanError:
        part = name.removeprefix(_FOLDER).removesuffix(".json").replace("-of-", "/")
        own = f"{self.worker.rank}/{self.worker.world}"
        return PlanError(
            f"{self._store.url}: part {part} is held by a worker on {who}, this is part {own}; a run in an object "
            "store takes one launch at a time: wait for it or stop it, or split one launch with --part i/n"
        )


def _facts(content: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(content)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}
