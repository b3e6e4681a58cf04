"""`genir status`: how far a run is, from its markers and heartbeats alone (no torch, no model, no prompts)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir.ranks import EXIT_AGAIN
from genir.runs.mirror import viewed
from genir.runs.summary import Summary, describe, summarise
from genir.runs.workers import WorkerReport, worker_reports

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Status:
    """One look at a run."""

    run: str
    summary: Summary
    workers: list[WorkerReport]

    @property
    def code(self) -> int:
        """Exit code: 0 when the latest launch's goal is reached, 75 while work remains, 2 when all is done but fewer
        are kept than the target asks for, or the rest is quarantined.
        """
        return {"reached": 0, "open": EXIT_AGAIN, "exhausted": 2, "quarantined": 2}[self.summary.state]

    @property
    def rate(self) -> float:
        """Images a second of the workers that are at work now."""
        return sum(worker.rate for worker in self.workers if worker.state == "at work")

    @property
    def seconds_left(self) -> float | None:
        """At this rate; None when nothing is left to do, or nobody is at work."""
        summary = self.summary
        left = max(0, summary.wanted - summary.done - summary.journalled)
        if summary.target and summary.kept:
            left = min(left, max(0.0, (summary.target - summary.kept) * summary.done / summary.kept))
        return left / self.rate if self.rate and summary.state == "open" else None

    def lines(self) -> list[str]:
        """For a person: one line a worker that is at work or silent, all others folded."""
        summary = self.summary
        goal = f"goal of the latest launch: {summary.goal}: {summary.state}"
        if self.seconds_left is not None:
            goal += f", about {_duration(self.seconds_left)} left at {self.rate:.2f} images/s"
        elif summary.state == "open" and not any(worker.state == "at work" for worker in self.workers):
            goal += ", no worker is at work"
        elif summary.state == "open":
            goal += ", the first batches are being made"
        return [f"{self.run}: {describe(summary)}", *self._worker_lines(), goal]

    def _worker_lines(self) -> list[str]:
        lines = []
        for worker in self.workers:
            if worker.state in ("at work", "silent"):
                silence = f", no heartbeat for {_duration(worker.silence)}" if worker.state == "silent" else ""
                lines.append(
                    f"  {worker.name}: {worker.state}{silence}, {_counts([worker])}, {worker.rate:.2f} images/s"
                )
        for state in ("gone", "ended"):
            folded = [worker for worker in self.workers if worker.state == state]
            if folded:
                what = f"{len(folded)} worker{'s' if len(folded) > 1 else ''} {state}"
                lines.append(f"  {what}{' (killed)' if state == 'gone' else ''}: {_counts(folded)}")
        return lines

    def facts(self) -> dict[str, Any]:
        """For a program (JSON)."""
        return {
            "run": self.run,
            **vars(self.summary),  # not `asdict`, which breaks a Counter
            "images_per_second": self.rate,
            "seconds_left": self.seconds_left,
            "workers": [{**vars(worker), "images_per_second": worker.rate} for worker in self.workers],
        }


def status(run: str) -> Status:
    """Look at a run.

    Raises:
        PlanError: no run there.
        StoreError: the object store in which it lies does not answer.
    """
    with viewed(run) as mirror:
        root = Path(run) if mirror is None else mirror.root
        return Status(run, summarise(root), worker_reports(root))


def _counts(workers: Sequence[WorkerReport]) -> str:
    return f"{sum(worker.images for worker in workers)} images, {sum(worker.kept for worker in workers)} kept"


def _duration(seconds: float) -> str:
    """90 -> "2 min"; 5400 -> "1 h 30 min"."""
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min" if minutes else f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min"
