"""Judge, encode and write finished batches on another thread, behind a bounded queue."""

from __future__ import annotations

import json
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from genir import images, storage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from genir.records import Columns, Sample, Score
    from genir.runs.tally import Tally
    from genir.shards.writer import ShardWriter

ENCODERS = 4  # threads that encode the images of a batch

# The columns every table has, in this order; the gates' scores follow.
BASE_COLUMNS: Columns = {
    "key": "string",
    "prompt": "string",
    "category": "string",
    "seed": "int",
    "height": "int",
    "width": "int",
    "verdict": "string",
    "reason": "string",
    "error": "string",
    "pixels_sha256": "string",
    "nonfinite": "bool",
    "prompt_truncated": "bool",
    "batch_executed": "int",
    "synthetic": "bool",
}


@dataclass(frozen=True)
class Packing:
    """How samples become files."""

    image_format: images.Format
    level: int
    provenance: dict[str, Any]
    """Goes into the JSON of every kept image: model, dual prompt, sampling settings."""
    rejects: Path | None
    """Folder for pixels of images that the signal or quality gate rejected; None keeps none."""


def row(sample: Sample) -> dict[str, Score | str]:
    """The table row of a judged sample."""
    task, verdict = sample.task, sample.verdict
    assert verdict is not None, "a sample is saved after it was judged"
    return {
        "key": task.key,
        "prompt": task.prompt.text,
        "category": task.prompt.category,
        "seed": task.seed,
        "height": task.height,
        "width": task.width,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "error": sample.error,
        "pixels_sha256": None if sample.pixels_CHW is None else images.pixels_sha256(sample.pixels_CHW),
        "nonfinite": sample.nonfinite,
        "prompt_truncated": sample.truncated,
        "batch_executed": sample.batch_executed,
        "synthetic": True,
        **sample.scores,
    }


class Saver:
    """Saves batches on a thread of its own, in order; leaving the `with` block waits until all is written."""

    def __init__(self, judge: Callable[[list[Sample]], None], packing: Packing, tally: Tally) -> None:
        """Begin with nothing.

        Args:
            judge: gives the samples of a batch their verdicts.
            packing: how samples become files.
            tally: counts every batch that is on the disk.
        """
        self._judge, self._packing, self._tally = judge, packing, tally
        # one batch waits while one is saved: more would only add to what a kill loses
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(maxsize=1)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="saver", daemon=True)
        self._encoders = ThreadPoolExecutor(ENCODERS, "encoder")

    def __enter__(self) -> Saver:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self._queue.put(None)
        self._thread.join()
        self._encoders.shutdown()
        if kind is None:
            self._raise()

    def add(self, writer: ShardWriter, samples: list[Sample]) -> None:
        """Queue one whole batch of a shard; blocks while the queue is full.

        Raises:
            ShardError: an earlier batch could not be written.
        """
        self._raise()
        self._queue.put(partial(self._save, writer, samples))

    def end(self, writer: ShardWriter, covered: int | None) -> None:
        """Queue the end of a shard: it is published (`covered` as `ShardWriter.finish` has it) or, with None, left
        to be continued; either way its claim is freed.
        """
        self._queue.put(partial(self._end, writer, covered))

    def drain(self) -> None:
        """Wait until all that was queued is on the disk, or has failed."""
        self._queue.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - carried to the main thread, which raises it
                self._error = self._error or error
            finally:
                self._queue.task_done()

    def _save(self, writer: ShardWriter, samples: list[Sample]) -> None:
        if self._error is not None:
            return  # nothing may follow what failed; the main thread will see the error
        self._judge(samples)
        rows, members = [], {}
        for facts, files in self._encoders.map(partial(self._pack, writer.files.name), samples):
            rows.append(facts)
            members |= files
        writer.add(rows, members)
        self._tally.add(samples)

    def _end(self, writer: ShardWriter, covered: int | None) -> None:
        with writer:
            if covered is not None and self._error is None:
                writer.finish(covered)

    def _pack(self, shard: str, sample: Sample) -> tuple[dict[str, Score | str], dict[str, bytes]]:
        """Row and tar members of one judged sample; on a thread of its own, encoding does not hold Python's lock."""
        facts = row(sample)
        if facts["verdict"] == "kept":
            return facts, self._members(sample, facts)
        if self._stores_reject(facts):
            self._store_reject(shard, sample)
        return facts, {}

    def _members(self, sample: Sample, facts: dict[str, Any]) -> dict[str, bytes]:
        assert sample.pixels_CHW is not None
        key, packing = sample.task.key, self._packing
        known = {name: value for name, value in facts.items() if value not in (None, "")}
        return {
            f"{key}.{packing.image_format}": images.encode(sample.pixels_CHW, packing.image_format, packing.level),
            f"{key}.json": json.dumps({**known, **packing.provenance}, separators=(",", ":")).encode(),
            f"{key}.txt": sample.task.prompt.text.encode(),
        }

    def _stores_reject(self, facts: dict[str, Any]) -> bool:
        return facts["verdict"] == "rejected" and not str(facts["reason"]).startswith("face")

    def _store_reject(self, shard: str, sample: Sample) -> None:
        packing = self._packing
        if packing.rejects is None or sample.pixels_CHW is None:
            return
        folder = packing.rejects / shard
        with storage.explained(folder):
            packing.rejects.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            data = images.encode(sample.pixels_CHW, packing.image_format, packing.level)
            storage.write(folder / f"{sample.task.key}.{packing.image_format}", data)
