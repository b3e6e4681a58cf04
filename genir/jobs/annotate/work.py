"""One stage: pictures -> rows and files, claimed shard by shard; what labels, captions and imported pictures share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from genir.records import Columns, Score, Verdict
from genir.runs.claims import Claims
from genir.runs.drive import Guard, Stage, drive
from genir.runs.progress import Progress, worker_name
from genir.runs.run import check_run, is_planned, open_run, set_goal
from genir.sources.pictures import Picture, pictures

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from genir.ranks import Worker
    from genir.runs.run import Run
    from genir.runs.saver import Files
    from genir.sources.open import SourcePlan

BASE: Columns = {
    "key": "string",
    "source": "string",
    "verdict": "string",
    "reason": "string",
    "error": "string",
    "height": "int",
    "width": "int",
    "synthetic": "bool",
}


@dataclass
class Noted:
    """What a stage made of a picture."""

    picture: Picture
    verdict: Verdict
    pixels_CHW: np.ndarray | None = None
    """uint8: a label, or a picture that is stored."""
    columns: dict[str, Score] = field(default_factory=dict)
    error: str = ""

    @property
    def key(self) -> str:
        """Nine digits."""
        return self.picture.key


Note = Callable[[list[Picture]], list[Noted]]
"""Pictures that were read -> what is noted of each."""


class Work(Protocol):
    """What is done in one stage."""

    columns: Columns
    said: dict[str, Score]
    """Columns that are the same in every row: model, revision, licence."""

    def meaning(self) -> dict[str, Any]:
        """What makes two stages the same, beside source and cut."""
        ...

    def load(self) -> tuple[Note, dict[str, Any]]:
        """Load the model: pictures that were read -> what is noted of them; and what env.json says."""
        ...

    def files(self, noted: Noted) -> dict[str, bytes]:
        """Members of the tar, of what is kept."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a stage is made."""

    folder: Path
    plan: SourcePlan
    facts: dict[str, Any]
    """Meaning of source and cut."""
    limit: int
    worker: Worker
    stage: str = "."

    def check(self, work: Work) -> None:
        """Refuse a folder of another stage; writes nothing."""
        check_run(self.folder, {**work.meaning(), **self.facts})

    def run(self, work: Work, config: dict[str, Any], stop: Callable[[], bool]) -> Claims:
        """Do what this worker gets of the stage; the model is loaded only if there is something left, and before
        anything is written.
        """
        if is_planned(self.folder):
            claims = self._claims(self._opened(work, config, None), stop)
            if not claims.any_left() or stop():
                return claims
        note, env = work.load()
        run = self._opened(work, config, env)
        claims = self._claims(run, stop)
        with Progress(run, worker_name(), -(-claims.tasks_left() // self.worker.world)) as progress:
            stage = Stage(partial(_made, note), lambda _: None)
            drive(claims, stage, partial(_packed, work), Guard(0.0, 1), stop, progress)
        return claims

    def _opened(self, work: Work, config: dict[str, Any], env: dict[str, Any] | None) -> Run:
        meaning = {**work.meaning(), **self.facts}
        columns: Columns = {**BASE, **work.columns}
        run = open_run(self.folder, self.plan, columns, meaning, config, env, self.worker, stage=self.stage)
        set_goal(run, self.limit, None)
        return run

    def _claims(self, run: Run, stop: Callable[[], bool]) -> Claims:
        return Claims(run, self.limit, None, stop)


def _made(note: Note, batches: list[list[Any]]) -> Iterator[list[Noted]]:
    for batch in pictures(batches):
        made = iter(note([one for one in batch if one.pixels_CHW is not None]))
        yield [next(made) if one.pixels_CHW is not None else _passed_over(one) for one in batch]


def _packed(work: Work, shard: str, noted: Noted) -> Files:
    picture = noted.picture
    height, width = (None, None) if picture.pixels_CHW is None else picture.pixels_CHW.shape[1:]
    row = {
        "key": noted.key,
        "source": picture.original.name,
        "verdict": noted.verdict.verdict,
        "reason": noted.verdict.reason,
        "error": noted.error,
        "height": height,
        "width": width,
        "synthetic": picture.synthetic,
        **work.said,
        **noted.columns,
    }
    return row, work.files(noted) if noted.verdict.verdict == "kept" else {}


def _passed_over(picture: Picture) -> Noted:
    if picture.original.reason:
        return Noted(picture, Verdict("rejected", picture.original.reason))
    return failed(picture, picture.error)


def failed(picture: Picture, message: str) -> Noted:
    """A picture that provoked an error, told as `Class: text`."""
    return Noted(picture, Verdict("error", f"error:{message.partition(':')[0]}"), error=message)
