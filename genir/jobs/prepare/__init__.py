"""`genir prepare`: photographs -> a training set of clean pairs; the same command resumes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from genir import ranks
from genir.jobs.prepare.finish import finish
from genir.jobs.prepare.launch import Launch
from genir.runs.claims import Claims
from genir.runs.drive import Guard, drive
from genir.runs.progress import Progress, log_to_file, worker_name
from genir.runs.run import is_planned, set_goal
from genir.runs.summary import describe, summarise

if TYPE_CHECKING:
    from genir.config.prepare import Prepare
    from genir.runs.run import Run

log = logging.getLogger("genir")


def prepare(config: Prepare) -> int:
    """Be one worker of the run; who finds nothing left writes the training set's table.

    Returns:
        The exit code: 0 when nothing is left for this worker, else the launcher's code for "run again".

    Raises:
        GenirError: anything a user can mend.
    """
    stop, launch = ranks.StopSignal(), Launch(config, ranks.worker())
    if is_planned(launch.root):  # refuse a changed config, and see that nothing is left, before the model is loaded
        run = launch.open()
        set_goal(run, config.limit, None)
        claims = Claims(run, config.limit, None, stop)
        if not claims.any_left():
            return _end(launch, run, claims, stop)
    launch.check()
    for line in launch.description():
        log.info("%s", line)
    backbone = launch.backbone()
    run = launch.open(backbone)
    set_goal(run, config.limit, None)
    name = worker_name()
    log_to_file(run.root, name)
    claims = Claims(run, config.limit, None, stop)
    share = -(-claims.tasks_left() // run.worker.world)
    with Progress(run, name, share, "photograph") as progress:
        drive(claims, launch.stage(backbone, stop), launch.packing(), Guard(0.0, 1), stop, progress)
    return _end(launch, run, claims, stop)


def _end(launch: Launch, run: Run, claims: Claims, stop: ranks.StopSignal) -> int:
    log.info("%s: photographs: %s", launch.root, describe(summarise(launch.root)))
    if claims.any_left():
        if stop():
            log.info("stopped by %s; the same command goes on from here", stop.name)
            return launch.worker.stopped_exit_code
        claims.refuse_quarantined()
        log.info("the last shards are with other workers, the last one of whom writes train/metadata.jsonl")
        return 0
    for line in finish(run, launch.config.limit):
        log.info("%s", line)
    return 0
