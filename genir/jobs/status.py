"""`genir status`: how far a run is, from its markers alone (no torch, no model, no prompts)."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from genir.ranks import EXIT_AGAIN
from genir.runs.summary import describe, summarise

STALE_AFTER = 300.0  # seconds without a heartbeat


def status(run: str) -> tuple[int, list[str]]:
    """(exit code, lines for the user): 0 when the latest launch's goal is reached, 75 while work remains, 2 when all
    is done but fewer are kept than the target asks for.

    Raises:
        PlanError: no run there.
    """
    root = Path(run)
    summary = summarise(root)
    lines = [f"{root}: {describe(summary)}"]
    for path in sorted((root / "stats").glob("*.json")):
        facts = json.loads(path.read_bytes())
        rate = facts["judged"] / facts["seconds"] if facts["seconds"] else 0.0
        counts = f"{facts['judged']} images, {facts['kept']} kept, {rate:.2f} images/s"
        lines.append(f"  {path.stem}: {_state(facts)}, {counts}")
    lines.append(f"goal of the latest launch: {summary.goal}: {summary.state}")
    return {"reached": 0, "open": EXIT_AGAIN, "exhausted": 2}[summary.state], lines


def _state(facts: dict[str, Any]) -> str:
    """Of a worker, from its statistics file."""
    age = time.time() - facts["heartbeat"]
    if facts["ended"]:
        return "ended"
    if facts["host"] == os.uname().nodename and not _is_alive(facts["pid"]):
        return "gone (killed)"
    return f"silent for {age / 60:.0f} min" if age > STALE_AFTER else "at work"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
