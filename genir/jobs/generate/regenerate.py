"""`genir regenerate`: make one image again, in its whole frozen batch, and compare it with what the run recorded."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genir import images, storage
from genir.errors import PlanError, ShardError
from genir.jobs.generate.again import Again
from genir.records import is_private, is_unseen
from genir.runs.summary import local_root
from genir.shards import reader
from genir.shards.files import read_marker
from genir.shards.verify import trusted_rows
from genir.sources import open_source
from genir.sources.original import NO_PIXELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genir.runs.saver import Packing
    from genir.shards.files import Row, ShardFiles


def regenerate(run: str, key: str, overrides: Sequence[str]) -> Iterator[str]:
    """Lines for the user; the picture goes to `<run>/regenerated/`, unless a gate that looks for persons rejected it.

    Raises:
        PlanError: no such run or key, or the key is not made yet.
        ShardError: equal hardware and libraries gave other pixels.
        GenirError: the run's model or prompts are not where its configuration says.
    """
    again = Again(local_root(run), overrides)
    shard = _shard(again, key)
    files = again.run.shard(shard)
    table = _rows(again.root, files, key)
    tasks = next(batch for batch in again.plan.batches(shard) if key in (task.key for task in batch))
    recorded = [table[task.key] for task in tasks]
    yield f"task       {key} of shard {files.name}, in its batch of {len(tasks)}: {_verdict(table[key])}"
    samples = again.make(tasks)
    changes = again.changes()
    yield "hardware   " + (
        "and libraries are the run's" if not changes else f"or libraries differ: {'; '.join(changes)}"
    )
    rows, made = again.files(samples)
    same = [row["pixels_sha256"] == old["pixels_sha256"] for row, old in zip(rows, recorded, strict=True)]
    yield f"pixels     {sum(same)} of {len(same)} images have the recorded hash"
    yield f"rows       {sum(map(dict.__eq__, rows, recorded))} of {len(rows)} are equal in every column"
    stored = {name: data for name, data in reader.members(files) if name.partition(".")[0] in {t.key for t in tasks}}
    if stored:
        equal = sum(made.get(name) == data for name, data in stored.items())
        yield f"bytes      {equal} of {len(stored)} stored files (image, JSON, prompt) are equal"
    sample, fresh = next(pair for pair in zip(samples, rows, strict=True) if pair[0].key == key)
    if sample.pixels_CHW is not None:
        yield from _pictures(again, (table[key], fresh), sample.pixels_CHW, stored)
    exempt = any(row["batch_executed"] is not None for row in (*rows, *recorded))
    if exempt:
        yield "note       a batch that was split when it ran out of memory may have other bytes"
    if not all(same) and not changes and not exempt:
        raise ShardError(f"{run}: {key}: other pixels although hardware and libraries are the run's")


def regenerate_selection(run: str, name: str, overrides: Sequence[str]) -> Iterator[str]:
    """Make what a selection keeps although no pixels of it are stored; lines for the user, one a batch.

    Only pictures with the recorded pixels are written: what is used must be what was judged.

    Raises:
        PlanError: no such run or selection.
        ShardError: equal hardware and libraries gave other pixels.
        GenirError: the run's model or prompts are not where its configuration says.
    """
    again = Again(local_root(run), overrides)
    source, packing = open_source(f"{again.root}#{name}"), again.launch.packing()
    size, written, others = again.plan.shard_size, 0, 0
    for shard in range(-(-source.available // size)):
        originals = source.originals(shard * size, min((shard + 1) * size, source.available))
        missing = {one.key for one in originals if one.reason == NO_PIXELS}
        recorded = {row["key"]: row["pixels_sha256"] for row in reader.rows(again.run.shard(shard))} if missing else {}
        for tasks in again.plan.batches(shard) if missing else []:
            wanted = missing & {task.key for task in tasks}
            for sample in again.make(tasks) if wanted else []:
                if sample.key not in wanted or sample.pixels_CHW is None:
                    continue
                if images.pixels_sha256(sample.pixels_CHW) != recorded[sample.key]:
                    others += 1
                    continue
                yield f"picture    {_write(again.root, packing, sample.key, sample.pixels_CHW)}"
                written += 1
    yield f"made       {written} pictures with the recorded pixels"
    if others:
        changes = "; ".join(again.changes()) or "none"
        raise ShardError(
            f"{run}: {others} pictures came out with other pixels than were judged and were not written; "
            f"differences of hardware and libraries: {changes}"
        )


def _shard(again: Again, key: str) -> int:
    if not (key.isascii() and key.isdigit()) or int(key) >= again.plan.n_tasks:
        last = f"{again.plan.n_tasks - 1:09d}"
        raise PlanError(f"{again.root}: no task {key!r}; the run's keys go from 000000000 to {last} (--key)")
    if len(key) != 9:
        raise PlanError(f"{again.root}: a key has nine digits: --key {int(key):09d}")
    return int(key) // again.plan.shard_size


def _rows(root: Path, files: ShardFiles, key: str) -> dict[str, Row]:
    table = trusted_rows(files) if read_marker(files) else None
    if table is None or key not in (row["key"] for row in table):
        raise PlanError(
            f"{root}: {key} is not recorded yet: shard {files.name} is unfinished or bad (`genir verify {root}`)"
        )
    return {row["key"]: row for row in table}


def _verdict(row: Row) -> str:
    return f"{row['verdict']}, {row['reason']}" if row["reason"] else row["verdict"]


def _pictures(again: Again, rows: tuple[Row, Row], pixels_CHW: np.ndarray, stored: dict[str, bytes]) -> Iterator[str]:
    """Compare with the stored picture, if there is one, and write the new one, unless the recorded row or the new one
    forbids it.
    """
    packing, key = again.launch.packing(), rows[0]["key"]
    name = f"{key}.{packing.image_format}"
    if name in stored:
        yield f"picture    {_difference(images.decode(stored[name]), pixels_CHW)}"
    why = next(filter(None, map(_kept_back, rows)), "")
    if why:
        yield f"picture    not written: {why}"
        return
    yield f"picture    {_write(again.root, packing, key, pixels_CHW)}"


def _kept_back(row: Row) -> str:
    """Why nobody may see the pixels of this row; empty where that is allowed."""
    if row["verdict"] == "kept":
        return ""
    if is_private(row["reason"]):
        return f"{row['reason']} rejected it"
    if row["verdict"] == "error":
        return f"{row['reason']}, it was not judged"
    return f"{row['reason']} rejected it, and nobody looked for persons" if is_unseen(row) else ""


def _write(root: Path, packing: Packing, key: str, pixels_CHW: np.ndarray) -> Path:
    folder = root / "regenerated"
    path = folder / f"{key}.{packing.image_format}"
    with storage.explained(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        storage.write(path, images.encode(pixels_CHW, packing.image_format, packing.level))
    return path


def _difference(old_CHW: np.ndarray, new_CHW: np.ndarray) -> str:
    """PSNR = 10 log10(255^2 / MSE) over all pixels and channels."""
    difference = old_CHW.astype(np.float64) - new_CHW
    if not difference.any():
        return "equal to the stored one"
    psnr = 10 * math.log10(255**2 / float(np.mean(difference**2)))
    return f"PSNR to the stored one {psnr:.1f} dB, largest difference {int(np.abs(difference).max())} of 255"
