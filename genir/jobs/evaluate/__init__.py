"""`genir evaluate`: metrics of sets of pictures side by side, each picture decoded once; resumes."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from genir import ranks, storage
from genir.jobs.evaluate.launch import Launch
from genir.runs.claims import Claims
from genir.runs.drive import Guard, drive
from genir.runs.progress import Progress, log_to_file, worker_name
from genir.runs.run import set_goal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genir.config.evaluate import Evaluate

log = logging.getLogger("genir")

SUMMARY, TABLE = "summary.json", "table.md"


def evaluate(config: Evaluate) -> tuple[int, str]:
    """Be one worker of the evaluation.

    Returns:
        The exit code (0 when nothing is left for this worker, else the launcher's code for "run again"), and the
        table where this worker found everything finished.

    Raises:
        GenirError: anything a user can mend.
    """
    stop, launch = ranks.StopSignal(), Launch(config, ranks.worker())
    launch.check()
    for line in launch.description():
        log.info("%s", line)
    begun: list[Claims] = []
    for one in launch.sets:
        run = launch.open(one)
        set_goal(run, one.limit, None)
        claims = Claims(run, one.limit, None, stop)
        begun.append(claims)
        if claims.any_left():
            name = worker_name()
            log_to_file(run.root, name)
            with Progress(run, name, -(-claims.tasks_left() // run.worker.world)) as progress:
                from genir.jobs.evaluate.measure import pack

                drive(claims, launch.stage(one), pack, Guard(0.0, 1), stop, progress)
    # asked after all sets: whoever ends last finds everything finished
    finished = not any(claims.any_left() for claims in begun)
    if stop() and not finished:
        log.info("stopped by %s; the same command goes on from here", stop.name)
        return launch.worker.stopped_exit_code, ""
    if not finished:
        for claims in begun:
            claims.refuse_quarantined()
        log.info("the last shards are with other workers: the last one to end writes the summary")
        return 0, ""
    return 0, _told(launch)


def dry_run(config: Evaluate) -> Iterator[str]:
    """Lines for the user; raises GenirError for everything that `evaluate` would refuse."""
    launch = Launch(config, ranks.worker())
    launch.check()
    yield from launch.description()


def _told(launch: Launch) -> str:
    """Write the summary and its table."""
    from genir.jobs.evaluate.summary import summarise
    from genir.jobs.evaluate.table import page

    summary = summarise(launch)
    text = page(summary)
    with storage.explained(launch.root):
        storage.write(launch.root / SUMMARY, (json.dumps(summary, indent=1) + "\n").encode())
        storage.write(launch.root / TABLE, text.encode())
    log.info("a row an image in %s/*/*.parquet, all numbers in %s/%s", launch.root, launch.root, SUMMARY)
    return text
