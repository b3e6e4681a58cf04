"""`genir generate`: make the planned images, gate them, store them in shards; the same command resumes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from genir import ranks
from genir.errors import PlanError
from genir.jobs.generate.launch import Launch
from genir.runs.card import write_card
from genir.runs.claims import Claims
from genir.runs.drive import drive
from genir.runs.mirror import joined
from genir.runs.progress import Progress, log_to_file, worker_name
from genir.runs.run import is_planned, set_goal
from genir.runs.summary import describe, summarise
from genir.runs.tally import Tally

if TYPE_CHECKING:
    from genir.config.generate import Generate

log = logging.getLogger("genir")

_ENOUGH = 20  # images, to say that nearly all are rejected


def generate(config: Generate, part: ranks.Part | None = None) -> int:
    """Be one worker of the run.

    Args:
        config: what to make.
        part: of a launch that is split by hand.

    Returns:
        The exit code: 0 when nothing is left for this worker, else the launcher's code for "run again".

    Raises:
        GenirError: anything a user can mend.
    """
    stop, worker = ranks.StopSignal(), ranks.worker(part=part)
    with joined(config.run, worker, stop) as mirror:
        return _work(Launch(config, worker, mirror), stop)


def _work(launch: Launch, stop: ranks.StopSignal) -> int:
    config = launch.config
    if is_planned(launch.root):  # refuse a changed config, and see that nothing is left, before the model is loaded
        run = launch.open()
        set_goal(run, config.limit, config.target.kept)
        claims = Claims(run, config.limit, config.target.kept, stop)
        if not claims.any_left():
            return _end(launch, claims, stop)
    launch.check()
    for line in launch.description():
        log.info("%s", line)
    backbone = launch.backbone()
    run = launch.open(backbone)
    set_goal(run, config.limit, config.target.kept)
    name = worker_name()
    log_to_file(launch.root, name)
    claims = Claims(run, config.limit, config.target.kept, stop)
    share = -(-claims.tasks_left() // run.worker.world)  # workers share the rest, about evenly
    with Progress(run, name, share) as progress:
        tally = drive(claims, launch.stage(run, backbone, stop), launch.packing(), launch.guard, stop, progress)
    _tell(tally)
    return _end(launch, claims, stop)


def _tell(tally: Tally) -> None:
    if tally.judged:
        if tally.judged >= _ENOUGH and tally.kept < 0.1 * tally.judged:
            log.warning("almost nothing was kept: look at preview.png and at the reasons below")
        log.info(
            "this worker: %d images, %d kept, %.2f images/s; the model worked %.1f %% of %.1f s, waited %.1f s for "
            "gates and files, and %.1f s at the end",
            tally.judged,
            tally.kept,
            tally.judged / tally.seconds,
            100 * tally.efficiency,
            tally.seconds,
            tally.waiting,
            tally.tail,
        )


def _end(launch: Launch, claims: Claims, stop: ranks.StopSignal) -> int:
    """Say how the run stands; raises PlanError when the plan is exhausted before the target."""
    if launch.mirror is not None:
        launch.mirror.refresh(at_once=True)
    config, summary = launch.config, summarise(launch.root)
    if summary.done:
        write_card(launch.root)
    log.info("%s: %s", config.run, describe(summary))
    log.info("images in %s/image, the first ones on %s/preview.png", config.run, config.run)
    if claims.target_reached():
        log.info("target reached: the first %d kept images, in key order, are the result", config.target.kept)
        return 0
    if claims.any_left():
        if stop():
            log.info("stopped by %s; the same command goes on from here", stop.name)
            return launch.worker.stopped_exit_code
        claims.refuse_quarantined()
        log.info("the last shards are with other workers")
        return 0
    if config.target.kept is not None:
        raise PlanError(
            f"{config.run}: the plan is exhausted: {summary.kept} of {summary.done} images kept, "
            f"target.kept is {config.target.kept}; "
            + ("" if config.limit is None else "raise limit, or ")
            + "begin a new run with more prompts or replicas"
        )
    return 0
