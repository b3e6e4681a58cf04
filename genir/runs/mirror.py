"""A run in an object store, seen as a local run directory.

Workers work in a local folder as in any run directory. It mirrors the store: plan and markers as they are, finished
tars and tables as files of the right size without content. A finished shard is uploaded, its marker last, and then
takes no room here either. The folder is scratch: without it the next launch makes unfinished shards again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from genir import storage
from genir.errors import GenirError, PlanError, ShardError, StoreError
from genir.objectstore import ObjectStore, is_url
from genir.runs.lease import BEAT, Lease
from genir.shards.files import Marker, ShardFiles, parse_marker, read_marker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genir.objectstore import Listed
    from genir.ranks import Worker

log = logging.getLogger("genir")

REFRESH_EVERY = 60.0  # seconds between looks at what other workers have finished
_DOCUMENTS = ("plan.json", "config.yaml", "env.json", "goal.json", "preview.png", "README.md")


class Mirror:
    """The local folder `root` of one worker, or of one look at a run."""

    def __init__(self, store: ObjectStore, root: Path, lease: Lease | None = None) -> None:
        """Bring `root` to the state of the store.

        Args:
            store: the run.
            root: the folder; what an earlier process of the same part left in it goes on.
            lease: of a worker, which alone may write.

        Raises:
            StoreError: the store does not answer.
        """
        self._store, self.root, self._lease = store, root, lease
        self._seen: dict[str, str] = {}
        self._pushed: dict[
            str, tuple[int, int]
        ] = {}  # small file -> time and size when it was last equal to the store's
        self._pushing = threading.Lock()
        listing = store.listing()
        self._pull_documents(listing)
        if lease is not None:
            self._push_left_behind(listing)
        self._pull_markers(listing, first=True)
        self._refreshed = time.monotonic()

    def refresh(self, at_once: bool = False) -> None:
        """Mirror what other workers have finished meanwhile, at most every minute unless `at_once`."""
        if at_once or time.monotonic() - self._refreshed > REFRESH_EVERY:
            self._pull_markers(self._store.listing(), first=False)
            self._refreshed = time.monotonic()

    def publish(self, name: str) -> bool:
        """Create an object of the local file, whoever is first; else take the other's in its place: False."""
        path = self.root / name
        if self._store.create(name, path.read_bytes()):
            return True
        storage.write(path, self._store.read([name])[name])
        return False

    def push(self) -> None:
        """Upload documents, logs and statistics that changed."""
        with self._pushing:
            # not down into the stage: its many files are the shards', which are uploaded one by one
            folders = [path for path in self.root.iterdir() if path.is_dir() and path.name not in ("image", "rejects")]
            for path in sorted([*self.root.iterdir(), *(below for folder in folders for below in folder.rglob("*"))]):
                name = path.relative_to(self.root).as_posix()
                if name == "plan.json" or path.suffix == ".tmp":
                    continue
                with contextlib.suppress(FileNotFoundError):  # replaced at this moment
                    if path.is_file() and self._pushed.get(name) != _stamp(path):
                        stamp = _stamp(path)
                        self._store.upload(path, name)
                        self._pushed[name] = stamp

    def push_shard(self, files: ShardFiles) -> None:
        """Upload a finished shard, its marker last; then its files here need no room any more.

        Raises:
            PlanError: another process has taken over this worker's part.
            StoreError: the store does not answer; the next launch on this machine uploads the shard.
        """
        assert self._lease is not None
        self._lease.check()
        marker = read_marker(files)
        assert marker is not None, "only a finished shard is uploaded"
        rejects = self.root / "rejects" / files.name
        for path in [*sorted(rejects.glob("*")), *(files.folder / name for name in marker.files), files.marker]:
            self._store.upload(path, path.relative_to(self.root).as_posix())
        self._hollow(files, marker)
        shutil.rmtree(rejects, ignore_errors=True)

    def fetch_shard(self, files: ShardFiles) -> None:
        """Download the files of a finished shard that is to grow."""
        marker = read_marker(files)
        for name in marker.files if marker else ():
            path = files.folder / name
            self._store.download(path.relative_to(self.root).as_posix(), path)

    def _pull_documents(self, listing: dict[str, Listed]) -> None:
        names = [name for name in listing if name in _DOCUMENTS or (self._lease is None and name.startswith("stats/"))]
        contents = self._store.read(names)
        foreign = [name for name in listing if not name.startswith("leases/")]
        if self._lease is not None and foreign and "plan.json" not in listing:
            raise PlanError(f"{self.root}: holds {foreign[0]!r} but no genir run; choose an empty folder (run=...)")
        plan = self.root / "plan.json"
        if plan.exists() and plan.read_bytes() != contents.get("plan.json"):
            shutil.rmtree(self.root)  # of another run that had this address
        for name, data in contents.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            storage.write(path, data)
            self._pushed[name] = _stamp(path)

    def _push_left_behind(self, listing: dict[str, Listed]) -> None:
        """Upload what an earlier process had finished when it was killed; forget what is not whole."""
        for path in sorted(self.root.glob("image/**/*.done")):
            files, name = ShardFiles(path.parent, path.stem), path.relative_to(self.root).as_posix()
            theirs, ours = self._finished(name, listing), read_marker(files)
            if theirs is not None and (ours is None or ours.covered <= theirs.covered):
                continue
            if ours is not None and all(
                storage.sha256(files.folder / name) == facts["sha256"] for name, facts in ours.files.items()
            ):
                log.info("%s: uploading shard %s, which an earlier worker had finished", self._store.url, files.name)
                self.push_shard(files)
            else:
                storage.remove(path)

    def _finished(self, name: str, listing: dict[str, Listed]) -> Marker | None:
        data = self._store.read([name]).get(name, b"") if name in listing else b""
        return self._whole(name, data, listing)

    def _whole(self, name: str, data: bytes, listing: dict[str, Listed]) -> Marker | None:
        """The marker, if the store holds the files it names in their sizes."""
        marker, folder = parse_marker(data), name.rpartition("/")[0]
        there = marker is not None and all(
            (listed := listing.get(f"{folder}/{file}")) is not None and listed.size == facts["size"]
            for file, facts in marker.files.items()
        )
        return marker if there else None

    def _is_own(self, name: str) -> bool:
        """Is this marker one that this worker alone writes?"""
        shard = PurePath(name).stem
        if self._lease is None or not shard.isdigit():
            return False
        return int(shard) % self._lease.worker.world == self._lease.worker.rank

    def _pull_markers(self, listing: dict[str, Listed], first: bool) -> None:
        stage = (name for name in listing if name.startswith("image/") and name.endswith(".done"))
        new = [
            name
            for name in stage
            if self._seen.get(name) != listing[name].version and (first or not self._is_own(name))
        ]
        for name, data in self._store.read(new).items():
            marker, path = self._whole(name, data, listing), self.root / name
            if marker is None:
                if self._is_own(name):  # else: somebody is replacing the shard at this moment
                    log.warning("%s/%s: not what its files are; the shard is made again", self._store.url, name)
                    self._store.write(f"{name}.bad", data)
                    storage.remove(path)
                continue
            self._seen[name] = listing[name].version
            if path.exists() and path.read_bytes() == data:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            self._hollow(ShardFiles(path.parent, path.stem), marker)
            storage.write(path, data)

    def _hollow(self, files: ShardFiles, marker: Marker) -> None:
        for name, facts in marker.files.items():
            storage.hollow(files.folder / name, int(facts["size"]))


@contextlib.contextmanager
def joined(run: str, worker: Worker, should_stop: Callable[[], bool]) -> Iterator[Mirror | None]:
    """Hold this worker's part of a run in an object store; None for a local run directory, where locks do that.

    Raises:
        PlanError: another launch is at work there.
        StoreError: the store does not answer.
    """
    if not is_url(run):
        yield None
        return
    scratch, store = _scratch(run), ObjectStore(run, should_stop)
    lease = Lease(store, worker, scratch)
    try:
        mirror = Mirror(store, scratch / str(worker.rank), lease)
        with _beating(run, lease, mirror):
            try:
                yield mirror
            finally:
                mirror.push()
    except PlanError as error:
        raise PlanError(str(error).replace(str(scratch / str(worker.rank)), run.rstrip("/"))) from error
    finally:
        with contextlib.suppress(StoreError):  # the next launch sees that nobody renews it
            lease.release()


@contextlib.contextmanager
def viewed(run: str) -> Iterator[Mirror | None]:
    """A folder that shows a run in an object store for as long as the block lasts; None for a local run directory.

    Raises:
        StoreError: the store does not answer.
    """
    if not is_url(run):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="genir-") as folder:
        root = Path(folder) / "run"
        root.mkdir()
        try:
            yield Mirror(ObjectStore(run), root)
        except PlanError as error:
            raise PlanError(str(error).replace(str(root), run.rstrip("/"))) from error


@contextlib.contextmanager
def _beating(run: str, lease: Lease, mirror: Mirror) -> Iterator[None]:
    """Renew the lease and upload statistics on a thread of its own."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            try:
                lease.renew()
                mirror.push()
            except GenirError as error:
                log.warning("%s", error)

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _scratch(run: str) -> Path:
    """This user's folder for a run: in TMPDIR, and the same for every worker and launch of this machine."""
    own = Path(tempfile.gettempdir()) / f"genir-{os.getuid()}"
    with storage.explained(own):
        own.mkdir(mode=0o700, exist_ok=True)
        if own.stat().st_uid != os.getuid():
            raise ShardError(f"{own}: belongs to another user; set TMPDIR to a folder of your own")
        scratch = own / hashlib.sha256(run.rstrip("/").encode()).hexdigest()[:16]
        scratch.mkdir(exist_ok=True)
    return scratch


def _stamp(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_size
