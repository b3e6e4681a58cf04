"""What a person sees while a worker runs: how far the whole run is, and this worker's heartbeat file."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING

from genir import storage
from genir.runs.meter import Meter
from genir.runs.tally import Tally
from genir.runs.workers import worker_reports

if TYPE_CHECKING:
    from pathlib import Path

    from genir.runs.run import Run

log = logging.getLogger("genir")

BEAT_EVERY = 10.0  # seconds between heartbeats


def log_to_file(root: Path, name: str) -> None:
    """Also write the log to logs/<name>.log of the run in `root`."""
    folder = root / "logs"
    with storage.explained(folder):
        folder.mkdir(exist_ok=True)
        handler = logging.FileHandler(folder / f"{name}.log")
    handler.handleError = lambda record: None  # a full disk is told once, by whoever writes the images
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)


def worker_name() -> str:
    """host-pid-start: names this process's log and statistics."""
    return f"{os.uname().nodename}-{os.getpid()}-{int(time.time())}"


class Progress:
    """Told after every batch; use as a context manager."""

    def __init__(self, run: Run, name: str, share: int, unit: str = "image") -> None:
        """Begin.

        Args:
            run: the open run.
            name: what `worker_name` gave.
            share: of the tasks that are left, about what this worker will do.
            unit: what a task becomes.
        """
        self._run, self._name, self._file = run, name, run.root / "stats" / f"{name}.json"
        self._alone = run.mirror is not None  # the statistics of the others are elsewhere
        self._tally = Tally()
        self._beaten = time.monotonic()
        self._before = {report.name: (report.images, report.kept) for report in worker_reports(run.root)}
        self._others = (0, 0)
        total = share if self._alone else share * run.worker.world
        self._meter = Meter(total, unit, on_screen=run.worker.rank == 0)

    def __enter__(self) -> Progress:
        with storage.explained(self._file):
            self._file.parent.mkdir(exist_ok=True)
        self.beat(self._tally)
        return self

    def __exit__(self, *exception: object) -> None:
        self._meter.__exit__(None, None, None)
        self.beat(self._tally, ended=True)

    def __call__(self, tally: Tally) -> None:
        """Show the state of the whole run, and tell this worker's, as often as a person or a monitor wants it."""
        now, self._tally = time.monotonic(), tally
        if now - self._beaten >= BEAT_EVERY:
            self._beaten = now
            self.beat(tally)
            self._others = self._of_others()
        judged, kept = self._others
        self._meter(tally.judged + judged, f"{tally.kept + kept} kept")

    def _of_others(self) -> tuple[int, int]:
        """Images that other workers, of this launch or another, have judged and kept since this one began."""
        if self._alone:
            return 0, 0
        reports = [report for report in worker_reports(self._run.root) if report.name != self._name]
        before = [self._before.get(report.name, (0, 0)) for report in reports]
        judged = sum(report.images - images for report, (images, _) in zip(reports, before, strict=True))
        return judged, sum(report.kept - kept for report, (_, kept) in zip(reports, before, strict=True))

    def beat(self, tally: Tally, ended: bool = False) -> None:
        """Write this worker's statistics file."""
        facts = {
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "rank": self._run.worker.rank,
            "world": self._run.worker.world,
            "heartbeat": time.time(),
            "ended": ended,
            "judged": tally.judged,
            "kept": tally.kept,
            "reasons": dict(tally.reasons),
            "seconds": round(tally.seconds, 3),
            "cpu_seconds": round(tally.cpu_seconds, 3),
            "making": round(tally.making, 3),
            "waiting": round(tally.waiting, 3),
            "tail": round(tally.tail, 3),
        }
        with storage.explained(self._file):
            storage.write(self._file, (json.dumps(facts, indent=1) + "\n").encode())
