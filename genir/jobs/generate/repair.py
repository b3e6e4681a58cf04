"""`genir verify --repair`: make again what is bad of a shard, and only that.

The bad files are renamed to `.bad` first. Rows come from the old table where its hash is right, images from the old tar
where they decode to the pixels of their row; every batch that is then still incomplete is denoised again.
"""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

from genir import images, storage
from genir.jobs.generate.again import Again
from genir.runs.summary import local_root, read_goal
from genir.shards.files import ShardFiles
from genir.shards.verify import proven_images, trusted_rows
from genir.shards.writer import ShardWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from genir.records import Task
    from genir.shards.files import Row

log = logging.getLogger("genir")


def repair(run: str, shards: Iterable[int], overrides: Sequence[str]) -> None:
    """Put these shards right.

    Raises:
        GenirError: the run's model or prompts are not where its configuration says; the disk cannot be written.
    """
    again, made = Again(local_root(run), overrides), 0
    for shard in shards:
        files = again.run.shard(shard)
        with storage.explained(files.part):
            lock = storage.try_lock(files.part)
            if lock is None:
                log.warning("shard %s: a worker is at it; repair it when that has ended", files.name)
                continue
            made += _repair(again, shard, lock)
    if made:
        again.launch.open(again.backbone)  # other hardware than the run's is noted in env.json


def _repair(again: Again, shard: int, lock: int) -> int:
    """Returns how many batches were denoised."""
    files = again.run.shard(shard)
    old = _stated(files)
    rows = {row["key"]: row for row in trusted_rows(files) or []}
    stored = proven_images(files, list(rows.values()))
    batches, covered = _extent(again, shard, old.get("covered"), rows)
    fresh = _set_aside(files, lock)
    if fresh is None:
        log.warning("shard %s: a worker has begun to make it again", files.name)
        return 0
    made = 0
    with ShardWriter(files, fresh, again.run.digest, again.run.columns) as writer:
        for tasks in batches:
            known = [rows.get(task.key) for task in tasks]
            whole = [row for row in known if row and (row["verdict"] != "kept" or row["key"] in stored)]
            if len(whole) == len(tasks):
                writer.add(whole, _members(again, whole, stored))
            else:
                writer.add(*again.files(again.make(tasks)))
                made += 1
        marker = writer.finish(covered)
    as_recorded = marker.files == old.get("files")
    log.info(
        "shard %s: %d of %d batches made again%s",
        files.name,
        made,
        len(batches),
        "; its files are byte for byte what they were" if as_recorded else "",
    )
    return made


def _stated(files: ShardFiles) -> dict[str, Any]:
    """What the old marker says, as far as it can be read."""
    try:
        stated = json.loads(files.marker.read_bytes())
    except (OSError, ValueError):
        return {}
    return stated if isinstance(stated, dict) else {}


def _extent(again: Again, shard: int, stated: object, rows: Mapping[str, Row]) -> tuple[list[list[Task]], int]:
    """The batches that the shard had (or else should have), and what `ShardWriter.finish` is told of them."""
    plan = again.plan
    first, end = shard * plan.shard_size, min((shard + 1) * plan.shard_size, plan.n_tasks)
    if rows:
        upto = next((number for number in range(first, end) if f"{number:09d}" not in rows), end)
    elif isinstance(stated, int) and first < stated <= end:
        upto = stated
    else:
        upto = min(read_goal(again.root)["limit"] or end, end)
    batches = plan.batches(shard)
    wanted = sum(int(tasks[0].key) < upto for tasks in batches)
    return batches[:wanted], end if wanted == len(batches) else int(batches[wanted][0].key)


def _set_aside(files: ShardFiles, lock: int) -> int | None:
    """Rename all that the shard has to `.bad`, its marker last.

    Returns:
        The lock of an empty part; None where another worker was quicker.
    """
    leftover = os.fstat(lock).st_size > 0
    for path in (files.tar, files.table, files.journal, *([files.part] if leftover else []), files.marker):
        if path.exists():
            bad = storage.set_aside(path)
            log.info("%s: kept as %s", path, bad.name)
    if not leftover:
        return lock
    os.close(lock)
    return storage.try_lock(files.part)


def _members(again: Again, rows: list[Row], stored: dict[str, bytes]) -> dict[str, bytes]:
    """As they were written first: encoded anew from proven pixels, because other parts of a file may be damaged."""
    packing, found = again.launch.packing(), {}
    for row in rows:
        if row["verdict"] == "kept":
            found |= packing.members(row, images.decode(stored[row["key"]]))
    return found
