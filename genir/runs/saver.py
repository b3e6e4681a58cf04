"""Judge, encode and write finished batches on another thread, behind a bounded queue; how samples become files."""

from __future__ import annotations

import json
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from genir import images, storage
from genir.errors import GenirError
from genir.records import is_private, is_unseen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

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


Files = tuple[dict[str, Any], dict[str, bytes]]
"""The table row of one task, and the members that it adds to the tar."""


def row(sample: Sample) -> dict[str, Score | str]:
    """The table row of a judged sample."""
    task, verdict = sample.task, sample.verdict
    assert verdict is not None, "a sample is saved after it was judged"
    pixels_CHW = sample.pixels_CHW
    height, width = (task.height, task.width) if pixels_CHW is None else pixels_CHW.shape[1:]
    return {
        "key": task.key,
        "prompt": task.prompt.text,
        "category": task.prompt.category,
        "seed": task.seed,
        "height": height,
        "width": width,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "error": sample.error,
        "pixels_sha256": None if pixels_CHW is None else images.pixels_sha256(pixels_CHW),
        "nonfinite": sample.nonfinite,
        "prompt_truncated": sample.truncated,
        "batch_executed": sample.batch_executed,
        "synthetic": True,
        **sample.scores,
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

    def __call__(self, shard: str, sample: Sample) -> Files:
        """Row and tar members of one judged sample; rejected pixels are stored where that is asked for."""
        facts = row(sample)
        if facts["verdict"] == "kept":
            assert sample.pixels_CHW is not None
            return facts, self.members(facts, sample.pixels_CHW)
        if facts["verdict"] == "rejected" and not (is_private(str(facts["reason"])) or is_unseen(facts)):
            self._store_reject(shard, sample)
        return facts, {}

    def members(self, facts: dict[str, Any], pixels_CHW: np.ndarray) -> dict[str, bytes]:
        """The tar members of a kept image and its row: image, JSON and prompt."""
        key = facts["key"]
        known = {name: value for name, value in facts.items() if value not in (None, "")}
        return {
            f"{key}.{self.image_format}": images.encode(pixels_CHW, self.image_format, self.level),
            f"{key}.json": json.dumps({**known, **self.provenance}, separators=(",", ":")).encode(),
            f"{key}.txt": facts["prompt"].encode(),
        }

    def _store_reject(self, shard: str, sample: Sample) -> None:
        if self.rejects is None or sample.pixels_CHW is None:
            return
        folder = self.rejects / shard
        with storage.explained(folder):
            self.rejects.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            data = images.encode(sample.pixels_CHW, self.image_format, self.level)
            storage.write(folder / f"{sample.task.key}.{self.image_format}", data)


class Saver:
    """Saves batches on a thread of its own, in order; leaving the `with` block waits until all is written."""

    def __init__(self, judge: Callable[[list[Any]], None], pack: Callable[[str, Any], Files], tally: Tally) -> None:
        """Begin with nothing.

        Args:
            judge: gives the samples of a batch (or what else a stage makes) their verdicts.
            pack: (name of the shard, one judged sample) -> its files; on a thread of its own, encoding does not hold
                Python's lock.
            tally: counts every batch that is on the disk.
        """
        self._judge, self._pack, self._tally = judge, pack, tally
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

    def add(self, writer: ShardWriter, samples: list[Any]) -> None:
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

    def _save(self, writer: ShardWriter, samples: list[Any]) -> None:
        if self._error is not None:
            return  # nothing may follow what failed; the main thread will see the error
        self._judge(samples)
        rows, files = [], {}
        for facts, packed in self._encoders.map(partial(self._pack, writer.files.name), samples):
            rows.append(facts)
            files |= packed
        writer.add(rows, files)
        self._tally.add(samples)

    def _end(self, writer: ShardWriter, covered: int | None) -> None:
        if self._error is not None and not isinstance(self._error, GenirError):
            writer.blame()
        with writer:
            if covered is not None and self._error is None:
                writer.finish(covered)
