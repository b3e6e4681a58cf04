"""`genir degrade`: HQ pictures -> HQ-LQ pairs in shards; the same command resumes."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from genir import ranks
from genir.jobs.degrade.launch import STAGE, Launch
from genir.runs.card import write_card
from genir.runs.claims import Claims
from genir.runs.drive import Guard, drive
from genir.runs.progress import Progress, log_to_file, worker_name
from genir.runs.run import PLAN, is_planned, set_goal
from genir.runs.summary import describe, summarise
from genir.shards import reader
from genir.shards.files import ShardFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genir.config.degrade import Degrade

log = logging.getLogger("genir")


def degrade(config: Degrade, protocol: str | None = None) -> int:
    """Be one worker of the run.

    Args:
        config: what is asked for.
        protocol: name of a protocol, or a manifest, that says which pairs to make.

    Returns:
        The exit code: 0 when nothing is left for this worker, else the launcher's code for "run again".

    Raises:
        GenirError: anything a user can mend.
    """
    stop, launch = ranks.StopSignal(), Launch(config, ranks.worker(), protocol)
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
        share = -(-claims.tasks_left() * config.epochs // run.worker.world)
        with Progress(run, name, share, "pair") as progress:
            drive(claims, launch.stage(run), launch.packing(), Guard(0.0, 1), stop, progress)
    return _end(launch, claims, stop)


def dry_run(config: Degrade, protocol: str | None = None) -> Iterator[str]:
    """Lines for the user; raises GenirError for everything that `degrade` would refuse."""
    launch = Launch(config, ranks.worker(), protocol)
    launch.check()
    yield from launch.description()
    if is_planned(launch.root):
        yield f"done        {describe(summarise(launch.root))}"


def pixels_sha256(root: Path) -> str:
    """SHA-256 over the pixel hashes of all pairs in key order."""
    plan = json.loads((root / PLAN).read_bytes())
    total = hashlib.sha256()
    for shard, _ in reader.markers(root / STAGE, plan["shards"]):
        files = ShardFiles.of(root / STAGE, shard, plan["shards"])
        for row in reader.rows(files, ("key", "hq_sha256", "lq_sha256")):
            total.update(f"{row['key']} {row['hq_sha256']} {row['lq_sha256']}\n".encode())
    return total.hexdigest()


def _end(launch: Launch, claims: Claims, stop: ranks.StopSignal) -> int:
    summary = summarise(launch.root)
    if summary.done:
        write_card(launch.root)
    log.info("%s: %s", launch.root, describe(summary))
    if claims.any_left():
        if stop():
            log.info("stopped by %s; the same command goes on from here", stop.name)
            return launch.worker.stopped_exit_code
        claims.refuse_quarantined()
        log.info("the last shards are with other workers")
        return 0
    if launch.manifest is not None:
        facts = (launch.manifest.sha256, pixels_sha256(launch.root))
        log.info("equal pairs have equal hashes: manifest %s, pixels %s", *facts)
    log.info("pairs in %s/lq, the first ones on %s/preview.png", launch.root, launch.root)
    waiting = launch.source.n_tasks - launch.limit
    if launch.config.limit is None and waiting:
        log.info(
            "%d more pictures of the input's plan are not made yet; the same command goes on when they are", waiting
        )
    return 0
