"""`genir utility`: does training on these pictures make a restorer better? Resumes by trainings."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING

from genir import ranks, storage
from genir.errors import Stopped
from genir.jobs.utility.launch import Launch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genir.config.utility import Utility

log = logging.getLogger("genir")

SUMMARY, TABLE, PLOT = "summary.json", "table.md", "utility.png"


def utility(config: Utility) -> tuple[int, str]:
    """Be one process of any number that train in one folder.

    Returns:
        The exit code (0 when nothing is left for this process, else the launcher's code for "run again"), and the
        table of what is finished.

    Raises:
        GenirError: anything a user can mend.
    """
    stop, launch = ranks.StopSignal(), Launch(config, ranks.worker())
    launch.open()
    for line in launch.description():
        log.info("%s", line)
    if any(not cell.path.exists() for cell in launch.cells):
        from genir.jobs.utility.work import Bench

        bench = Bench(launch, stop)
        for number, cell in enumerate(launch.cells, 1):
            begin = time.monotonic()
            try:
                if not cell.path.exists() and bench.work(cell):
                    facts = (number, len(launch.cells), cell.name, cell.pictures, cell.seed, time.monotonic() - begin)
                    log.info("%d of %d: %s, %d pictures, seed %d: %.0f s", *facts)
            except Stopped:
                log.info("stopped by %s; the same command goes on from here", stop.name)
                return launch.worker.stopped_exit_code, ""
    left = sum(not cell.path.exists() for cell in launch.cells)
    if left:
        log.info(
            "%d trainings are with other processes; the same command waits for none, and tells what is there", left
        )
    return 0, _told(launch)


def dry_run(config: Utility) -> Iterator[str]:
    """Lines for the user; raises GenirError for everything that `utility` would refuse before it trains."""
    launch = Launch(config, ranks.worker())
    launch.meaning()
    yield from launch.description()


def _told(launch: Launch) -> str:
    from genir.jobs.utility.report import page, plot, summarise

    summary = summarise(launch)
    text = page(summary)
    picture = plot(summary)
    with storage.explained(launch.root):
        storage.write(launch.root / SUMMARY, (json.dumps(summary, indent=1) + "\n").encode())
        storage.write(launch.root / TABLE, text.encode())
        if picture is not None:
            storage.write(launch.root / PLOT, picture)
    if picture is None:
        log.info("no plot: it needs matplotlib (pip install 'genir[plot]')")
    return text
