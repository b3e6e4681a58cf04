"""What the workers of a run say of themselves, from the statistics files they leave (no torch, no model)."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

SILENT_AFTER = 300.0  # seconds without a heartbeat
GONE_AFTER = 3600.0

State = Literal["at work", "silent", "gone", "ended"]


@dataclass(frozen=True)
class WorkerReport:
    """One worker process, of this launch or an earlier one."""

    name: str
    """host-pid-start."""
    state: State
    """Silent: no heartbeat for five minutes. Gone: none for an hour, or this machine has no such process any more."""
    images: int
    kept: int
    seconds: float
    """Of work, start-up excluded."""
    silence: float
    """Seconds since the last heartbeat."""

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds if self.seconds else 0.0


def worker_reports(root: Path) -> list[WorkerReport]:
    """All workers that ever wrote statistics in the run directory, by name."""
    reports = []
    for path in sorted((root / "stats").glob("*.json")):
        try:
            facts = json.loads(path.read_bytes())
            silence = max(0.0, time.time() - facts["heartbeat"])  # clocks of two machines may disagree
            state = _state(facts, silence)
            report = WorkerReport(path.stem, state, facts["judged"], facts["kept"], facts["seconds"], silence)
        except (ValueError, KeyError, TypeError):
            continue  # not a worker's
        reports.append(report)
    return reports


def _state(facts: dict[str, Any], silence: float) -> State:
    if facts["ended"]:
        return "ended"
    if silence > GONE_AFTER or (facts["host"] == os.uname().nodename and not _is_alive(facts["pid"])):
        return "gone"
    return "silent" if silence > SILENT_AFTER else "at work"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
