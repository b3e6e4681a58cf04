"""`genir status`: how far a run is, from its markers alone (no torch, no model, no prompts)."""

from __future__ import annotations

import json
import time
from pathlib import Path

from genir.ranks import EXIT_AGAIN
from genir.runs.summary import describe, summarise

STALE_AFTER = 300.0  # seconds without a heartbeat


def status(run: str) -> tuple[int, list[str]]:
    """(exit code, lines for the user): 0 when the latest launch's goal is reached, 75 while work remains.

    Raises:
        PlanError: no run there.
    """
    root = Path(run)
    summary = summarise(root)
    lines = [f"{root}: {describe(summary)}"]
    now = time.time()
    for path in sorted((root / "stats").glob("*.json")):
        facts = json.loads(path.read_bytes())
        age = now - facts["heartbeat"]
        state = "ended" if facts["ended"] else f"silent for {age / 60:.0f} min" if age > STALE_AFTER else "at work"
        rate = facts["judged"] / facts["seconds"] if facts["seconds"] else 0.0
        lines.append(f"  {path.stem}: {state}, {facts['judged']} images, {facts['kept']} kept, {rate:.2f} images/s")
    goal = summary.goal
    lines.append(f"goal of the latest launch: {goal}: {'reached' if summary.is_reached else 'not reached'}")
    return (0 if summary.is_reached else EXIT_AGAIN), lines
