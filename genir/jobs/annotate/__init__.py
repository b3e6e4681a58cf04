"""`genir annotate`: labels in seven domains and captions for every picture, a stage each; the same command resumes."""

from __future__ import annotations

import gc
import logging
import time
from typing import TYPE_CHECKING

from genir import ranks, storage
from genir.jobs.annotate.launch import CONSISTENCY, Launch
from genir.runs.claims import Claims
from genir.runs.progress import log_to_file, worker_name
from genir.runs.run import is_planned
from genir.runs.summary import describe, summarise
from genir.shards import reader
from genir.shards.files import ShardFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from genir.config.annotate import Annotate

log = logging.getLogger("genir")

_WAIT = 1.0  # seconds between two looks at shards that other workers import


def annotate(config: Annotate) -> int:
    """Be one worker of the run: stage by stage, with one model in memory at a time.

    Returns:
        The exit code: 0 when nothing is left for this worker, else the launcher's code for "run again".

    Raises:
        GenirError: anything a user can mend.
    """
    stop, launch = ranks.StopSignal(), Launch(config, ranks.worker())
    launch.check()
    for line in launch.description():
        log.info("%s", line)
    with storage.explained(launch.root):
        launch.root.parent.mkdir(parents=True, exist_ok=True)
    _ = launch.device  # sets the threads
    resolved, begun = config.model_dump(mode="json"), list[Claims]()
    if launch.imports:
        _import(launch, stop)
    if not stop():
        log_to_file(launch.root, worker_name())
        pictures = launch.pictures()
        for stage, work in launch.works.items():
            if stop():
                break
            begun.append(launch.place(stage, pictures).run(work, resolved, stop))
            log.info("%s: %s", stage, describe(summarise(launch.root / stage)))
            gc.collect()  # the model of this stage, before that of the next one is loaded
        compared = launch.consistency(pictures)
        if compared is not None and not stop():
            place, work = compared
            begun.append(place.run(work, resolved, stop))
            log.info("%s: %s", CONSISTENCY, describe(summarise(place.folder)))
    if stop():
        log.info("stopped by %s; the same command goes on from here", stop.name)
        return launch.worker.stopped_exit_code
    if any(claims.any_left() for claims in begun):
        for claims in begun:
            claims.refuse_quarantined()
        log.info("the last shards are with other workers")
        return 0
    for line in findings(launch.root):
        log.warning("%s", line)
    log.info("genir export input=%s format=jodi out=... writes what Jodi reads", launch.root)
    return 0


def dry_run(config: Annotate) -> Iterator[str]:
    """Lines for the user; raises GenirError for everything that `annotate` would refuse before it loads a model."""
    launch = Launch(config, ranks.worker())
    launch.check()
    yield from launch.description()
    for stage in launch.works:
        if is_planned(launch.root / stage):
            yield f"done        {stage}: {describe(summarise(launch.root / stage))}"


def findings(root: Path) -> list[str]:
    """What labels say of people, whom a set of genir should not show."""
    lines = []
    for stage, column, what in (
        ("annotation_openpose", "label_sha256", "a skeleton"),
        ("annotation_segmentation", "person_area", "pixels called person"),
    ):
        if is_planned(root / stage):
            keys = [row["key"] for row in _rows(root / stage, ("key", column)) if row[column]]
            if keys:
                some = ", ".join(keys[:4]) + (", ..." if len(keys) > 4 else "")
                lines.append(f"{stage}: {what} in {len(keys)} pictures ({some}): look at them")
    return lines


def _rows(folder: Path, columns: tuple[str, ...]) -> Iterator[dict]:
    shards = summarise(folder).shards
    for shard, _ in reader.markers(folder, shards):
        yield from reader.rows(ShardFiles.of(folder, shard, shards), columns)


def _import(launch: Launch, stop: ranks.StopSignal) -> None:
    """The image stage, with the other workers; returns when it is there as a whole."""
    place, work = launch.importing
    while not stop():
        claims = place.run(work, launch.config.model_dump(mode="json"), stop)
        if not claims.any_left():
            break
        claims.refuse_quarantined()
        time.sleep(_WAIT)
    log.info("%s: %s", place.folder, describe(summarise(place.folder)))
