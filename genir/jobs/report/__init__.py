"""`genir report`: one HTML page about a run directory, whatever made it; opens without a server or a network."""

from __future__ import annotations

from pathlib import Path

from genir import storage
from genir.errors import PlanError
from genir.jobs.report import learning, pairs, prepared, run
from genir.jobs.report.page import Page
from genir.runs.summary import local_root, read_plan

__all__ = ["report"]


def report(folder: str, out: str | None = None, images: int = 240) -> Path:
    """Write the page of a run directory, by default as `report.html` in it.

    Args:
        folder: of `genir generate`, `degrade`, `prepare` or `learn`; it may still be at work.
        out: the file to write.
        images: pictures in the gallery at most; each adds about 10 kB.

    Raises:
        PlanError: no run there, or nothing of it is finished.
        GenirError: the page cannot be written.
    """
    root = local_root(folder)
    page = Page(folder)
    if (root / "learn.json").exists():
        learning.add(page, root)
    elif (root / "lq").is_dir():
        pairs.add(page, root, images)
    elif (root / "train").is_dir():
        prepared.add(page, root, images)
    elif (root / "plan.json").exists():
        if "seed" not in read_plan(root)["columns"]:
            raise PlanError(f"{folder}: holds pictures that genir did not make; only its tables can be looked at yet")
        run.add(page, folder, root, images)
    else:
        raise PlanError(
            f"{folder}: no run of generate, degrade, prepare or learn there (no plan.json, no learn.json); "
            "name its run directory"
        )
    page.add_environment(root)
    path = Path(out) if out else root / "report.html"
    with storage.explained(path):
        storage.write(path, page.html().encode())
    return path
