"""Encode and write finished batches on another thread, behind a bounded queue."""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genir import images, storage

if TYPE_CHECKING:
    from pathlib import Path

    from genir.records import Columns, Sample, Score
    from genir.shards.writer import ShardWriter

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
    """Feeds a ShardWriter from a thread of its own; leaving the `with` block waits until all is written."""

    def __init__(self, writer: ShardWriter, packing: Packing) -> None:
        self._writer, self._packing = writer, packing
        # one batch waits while one is written: more would only add to what a kill loses
        self._queue: queue.Queue[list[Sample] | None] = queue.Queue(maxsize=1)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="saver", daemon=True)

    def __enter__(self) -> Saver:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self._queue.put(None)
        self._thread.join()
        if kind is None:
            self._raise()

    def add(self, samples: list[Sample]) -> None:
        """Queue one whole batch; blocks while the queue is full.

        Raises:
            ShardError: an earlier batch could not be written.
        """
        self._raise()
        self._queue.put(samples)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (samples := self._queue.get()) is not None:
            if self._error is not None:
                continue  # keep the queue moving until the main thread sees the error
            try:
                self._save(samples)
            except BaseException as error:  # noqa: BLE001 - carried to the main thread, which raises it
                self._error = error

    def _save(self, samples: list[Sample]) -> None:
        rows = [row(sample) for sample in samples]
        members: dict[str, bytes] = {}
        for sample, facts in zip(samples, rows, strict=True):
            if facts["verdict"] == "kept":
                members |= self._members(sample, facts)
            elif self._stores_reject(facts):
                self._store_reject(sample)
        self._writer.add(rows, members)

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

    def _store_reject(self, sample: Sample) -> None:
        packing = self._packing
        if packing.rejects is None or sample.pixels_CHW is None:
            return
        folder = packing.rejects / self._writer.files.name
        with storage.explained(folder):
            packing.rejects.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            data = images.encode(sample.pixels_CHW, packing.image_format, packing.level)
            storage.write(folder / f"{sample.task.key}.{packing.image_format}", data)
