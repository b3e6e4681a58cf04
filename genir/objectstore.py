"""A folder of whole objects elsewhere: s3://, gs://, or file:// for a file system that has no locks.

The only place that knows fsspec. Every call is repeated with growing pauses while the store is throttled or cannot be
reached; what only the user can mend is one line at once.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from genir import storage
from genir.errors import ConfigError, ExtraError, ShardError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = logging.getLogger("genir")

T = TypeVar("T")

PATIENCE = 120.0  # seconds that a store may be away before the worker gives up
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 20.0
_AT_ONCE = 500  # objects read together
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 1}}},
    "gs": {},
    "file": {"auto_mkdir": True},
}
_EXTRAS = {"s3": "s3", "gs": "gcs", "file": "s3"}
# Names of errors of botocore and google-auth that no second try mends.
_FINAL = ("NoCredentials", "PartialCredentials", "DefaultCredentials", "ParamValidation", "ProfileNotFound", "Refresh")


def is_url(run: str) -> bool:
    """Does this run directory lie in an object store?"""
    return "://" in run


def check_url(url: str) -> None:
    """Raises ConfigError for a store that genir does not know."""
    kind, _, rest = url.partition("://")
    if kind not in _OPTIONS or not rest.strip("/"):
        raise ConfigError(
            f"run {url}: expected a local folder, s3://bucket/folder, gs://bucket/folder or file:///folder"
        )


@dataclass(frozen=True)
class Listed:
    """One object of a listing."""

    size: int
    """Bytes."""
    version: str
    """Changes whenever the object is replaced."""


class ObjectStore:
    """The objects below one URL, by relative name."""

    def __init__(self, url: str, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Nothing is asked yet.

        Args:
            url: s3://bucket/folder, gs://bucket/folder or file:///folder.
            should_stop: ends the patience with a store that is away.

        Raises:
            ConfigError: another kind of URL.
            ExtraError: the package for this kind of store is not installed.
        """
        check_url(url)
        self.url, self._kind, self._should_stop = url.rstrip("/"), url.partition("://")[0], should_stop
        try:
            import fsspec

            options = _OPTIONS[self._kind]
            self._fs, root = fsspec.url_to_fs(self.url, skip_instance_cache=True, use_listings_cache=False, **options)
        except ImportError as error:
            raise ExtraError(f"{url}: {error}; pip install 'genir[{_EXTRAS[self._kind]}]'") from error
        self._root = str(root)
        self._is_away = False

    def listing(self) -> dict[str, Listed]:
        """All objects by name; empty where there is nothing."""
        try:
            found = self._ask(lambda: self._fs.find(self._root, detail=True))
        except FileNotFoundError:
            return {}
        versions = ("ETag", "etag", "mtime")
        return {
            path.removeprefix(f"{self._root}/"): Listed(
                facts["size"], f"{facts['size']} {next((facts[name] for name in versions if name in facts), '')}"
            )
            for path, facts in found.items()
        }

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """The content of those objects that are there."""
        contents: dict[str, bytes] = {}
        wanted = list(names)
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            found = self._ask(lambda some=some: self._read(some))
            contents |= {name: found[self._path(name)] for name in some if self._path(name) in found}
        return contents

    def _read(self, names: list[str]) -> dict[str, bytes]:
        found = self._fs.cat([self._path(name) for name in names], on_error="return")
        for answer in found.values():
            if isinstance(answer, Exception) and not isinstance(answer, FileNotFoundError):
                raise answer
        return {path: answer for path, answer in found.items() if isinstance(answer, bytes)}

    def write(self, name: str, data: bytes) -> None:
        """Create or replace an object."""
        self._change(lambda: self._fs.pipe_file(self._path(name), data))

    def create(self, name: str, data: bytes) -> bool:
        """Create an object, whoever is first; False when it was there already with another content."""
        try:
            self._change(lambda: self._fs.pipe_file(self._path(name), data, mode="create"))
        except FileExistsError:
            return self.read([name]).get(name) == data  # ours: made by a try whose answer was lost
        return True

    def upload(self, path: Path, name: str) -> None:
        """Create or replace an object by a local file."""
        self._change(lambda: self._fs.put_file(str(path), self._path(name)))

    def download(self, name: str, path: Path) -> None:
        """Fetch an object into a local file, which is whole or absent.

        Raises:
            FileNotFoundError: no such object.
        """
        temporary = path.with_name(f"{path.name}.fetched.tmp")
        self._ask(lambda: self._fs.get_file(self._path(name), str(temporary)))
        temporary.replace(path)

    def delete(self, name: str) -> None:
        """Delete an object if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self._ask(lambda: self._fs.rm_file(self._path(name)))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _change(self, call: Callable[[], Any]) -> None:
        try:
            self._ask(call)
        except FileNotFoundError as error:
            raise ShardError(f"{self.url}: {_words(error)}; create the bucket or name another (run=...)") from error

    def _ask(self, call: Callable[[], T]) -> T:
        """The answer, at the latest after `PATIENCE`; "not there" and "there already" are answers too."""
        # what was waited for in vain is not waited for again: the end of a worker asks several times
        gives_up, pause = time.monotonic() + (0 if self._is_away else PATIENCE), _FIRST_PAUSE
        while True:
            try:
                answer = call()
                self._is_away = False
                return answer
            except (FileNotFoundError, FileExistsError, ShardError):
                raise
            except Exception as error:
                if type(error).__module__ == "builtins" and not isinstance(error, OSError):
                    raise  # a bug, not an answer of a store
                if self._kind == "file":
                    with storage.explained(Path(self._root)):
                        raise
                reason = _words(error)
                if isinstance(error, PermissionError) or type(error).__name__.startswith(_FINAL):
                    raise ShardError(f"{self.url}: {reason}; check the credentials and the bucket's rights") from error
                if time.monotonic() + pause > gives_up or self._should_stop():
                    self._is_away = True
                    raise StoreError(
                        f"{self.url}: {reason}: no answer after repeated tries; nothing that was made is lost, run the "
                        "same command again"
                    ) from error
                log.warning("%s: %s; trying again in %.0f s", self.url, reason, pause)
            self._wait(pause * random.uniform(0.5, 1.0))  # many workers should not come back together
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._should_stop():
            time.sleep(min(left, 0.2))


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return text or type(error).__name__
