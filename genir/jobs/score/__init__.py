"""`genir score`: any gate or metric over pictures that are there already, as a stage of its own; resumes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from genir import ranks
from genir.jobs.score.launch import Launch, pack
from genir.runs.claims import Claims
from genir.runs.drive import Guard, drive
from genir.runs.progress import Progress, log_to_file, worker_name
from genir.runs.run import is_planned, set_goal
from genir.runs.summary import describe, summarise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genir.config.score import Score

log = logging.getLogger("genir")


def score(config: Score) -> int:
    """Be one worker of the stage.

    Returns:
        The exit code: 0 when nothing is left for this worker, else the launcher's code for "run again".

    Raises:
        GenirError: anything a user can mend.
    """
    stop, launch = ranks.StopSignal(), Launch(config, ranks.worker())
    launch.check()
    description = launch.description()
    run = launch.open()
    set_goal(run, launch.limit, None)
    claims = Claims(run, launch.limit, None, stop)
    if claims.any_left():
        for line in description:
            log.info("%s", line)
        name = worker_name()
        log_to_file(run.root, name)
        share = -(-claims.tasks_left() // run.worker.world)
        with Progress(run, name, share, "picture") as progress:
            drive(claims, launch.stage(), pack, Guard(0.0, 1), stop, progress)
    return _end(launch, claims, stop)


def dry_run(config: Score) -> Iterator[str]:
    """Lines for the user; raises GenirError for everything that `score` would refuse."""
    launch = Launch(config, ranks.worker())
    launch.check()
    yield from launch.description()
    if is_planned(launch.root):
        yield f"done        {describe(summarise(launch.root))}"


def _end(launch: Launch, claims: Claims, stop: ranks.StopSignal) -> int:
    log.info("%s: %s", launch.root, describe(summarise(launch.root)))
    if claims.any_left():
        if stop():
            log.info("stopped by %s; the same command goes on from here", stop.name)
            return launch.worker.stopped_exit_code
        claims.refuse_quarantined()
        log.info("the last shards are with other workers")
        return 0
    log.info("scores in %s/*.parquet; genir select %s applies other thresholds", launch.root, launch.root.parent)
    waiting = launch.source.n_tasks - launch.limit
    if launch.config.limit is None and waiting:
        log.info(
            "%d more pictures of the source's plan are not made yet; the same command goes on when they are", waiting
        )
    return 0
