"""What a person sees while a worker runs: a bar on a terminal, plain lines with rates elsewhere, a heartbeat file."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import TYPE_CHECKING

from tqdm import tqdm

from genir import storage
from genir.runs.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from genir.runs.run import Run

log = logging.getLogger("genir")

LINE_EVERY = 30.0  # seconds between plain lines
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

    def __init__(self, run: Run, name: str, total: int) -> None:
        """Begin.

        Args:
            run: the open run.
            name: what `worker_name` gave.
            total: tasks that this worker will about do, for the bar.
        """
        self._run, self._total, self._file = run, total, run.root / "stats" / f"{name}.json"
        self._tally = Tally()
        self._shown = self._beaten = time.monotonic()
        on_terminal = sys.stderr.isatty() and run.worker.rank == 0
        self._bar = tqdm(total=total, unit="image", smoothing=0.05, dynamic_ncols=True) if on_terminal else None

    def __enter__(self) -> Progress:
        with storage.explained(self._file):
            self._file.parent.mkdir(exist_ok=True)
        self.beat(self._tally)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()
        self.beat(self._tally, ended=True)

    def __call__(self, tally: Tally) -> None:
        """Show the state, at most as often as a person or a monitor wants it."""
        now, self._tally = time.monotonic(), tally
        if self._bar is not None:
            self._bar.update(tally.judged - self._bar.n)
            self._bar.set_postfix_str(f"{tally.kept} kept", refresh=False)
        elif tally.judged and now - self._shown >= LINE_EVERY:
            self._shown = now
            rate = tally.judged / tally.seconds
            left = f"{max(0, self._total - tally.judged) / rate / 60:.0f} min left"
            log.info("%d of about %d images, %d kept, %.2f/s, %s", tally.judged, self._total, tally.kept, rate, left)
        if now - self._beaten >= BEAT_EVERY:
            self._beaten = now
            self.beat(tally)

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
