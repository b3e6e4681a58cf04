"""One launch of `genir utility`: the trainings that are asked for, and what each needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from genir import ranks, seeds
from genir.config.base import digest
from genir.config.utility import BICUBIC
from genir.degrade.presets import preset
from genir.errors import ConfigError
from genir.runs.run import publish_run
from genir.runs.workers import worker_reports
from genir.sources import open_source, taken

if TYPE_CHECKING:
    import torch

    from genir.config.degradation import Degradation
    from genir.config.evaluate import Place
    from genir.config.utility import Utility
    from genir.dataset import DegradedDataset
    from genir.metrics.metric import Metric
    from genir.sources import Source

DOCUMENT = "utility.json"


@dataclass(frozen=True)
class Cell:
    """One training of one set."""

    name: str
    """Of the set."""
    pictures: int
    seed: int
    path: Path
    """Its results, there when it is finished."""


class Launch:
    """The parts of one launch; raises GenirError for what cannot be used."""

    def __init__(self, config: Utility, worker: ranks.Worker) -> None:
        self.config, self.worker, self.root = config, worker, Path(config.run)
        self.test = open_source(config.test.source)
        self._pairs: dict[tuple[str, int], DegradedDataset] = {}

    @cached_property
    def device(self) -> torch.device:
        """Where restorers are trained; on a CPU with the planned number of threads."""
        import torch

        torch.set_num_threads(self.config.threads)
        return ranks.device(self.config.device, self.worker)

    @cached_property
    def metrics(self) -> list[Metric]:
        """Of the restored test crops."""
        from genir.metrics import catalogue

        found = catalogue.metrics(self.config.metrics, self.device)
        decides = next(metric for metric in found if metric.name == self.config.decides)
        if not decides.full:
            raise ConfigError(f"decides {decides.name}: compares with no reference; it cannot decide")
        return found

    @cached_property
    def degradation(self) -> Degradation:
        """Of the training pairs."""
        return self._degradation(self.config.degradation.crop)

    @cached_property
    def test_degradation(self) -> Degradation:
        """The same on the crops of the test photographs."""
        return self._degradation(self.config.test.side).model_copy(update={"patch": None})

    def _degradation(self, crop: int | None) -> Degradation:
        chosen = self.config.degradation
        try:
            return chosen.changed(preset(chosen.preset)).model_copy(update={"crop": crop})
        except ValidationError as error:
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ConfigError(f"degradation {chosen.preset}: {message} (degradation.crop=...)") from None

    @cached_property
    def sources(self) -> dict[str, Source]:
        """The sets."""
        return {name: open_source(place) for name, place in self.config.sets.items()}

    @cached_property
    def counts(self) -> dict[str, int]:
        """Pictures that each set has to give."""
        return {name: sum(1 for _ in taken(source)) for name, source in self.sources.items()}

    @cached_property
    def costs(self) -> dict[str, float]:
        """Seconds of generation a picture that a set gives, where that is known."""
        found = {name: _cost(place, self.counts[name]) for name, place in self.config.sets.items()}
        return {name: cost for name, cost in (found | self.config.costs).items() if cost is not None}

    def amounts(self) -> dict[str, dict[str, int]]:
        """Column of the table -> set -> pictures; raises ConfigError where a set has fewer."""
        found = {f"{size} pictures": dict.fromkeys(self.config.sets, size) for size in self.config.sizes}
        for budget in self.config.budgets:
            found[f"{budget:g} s"] = {name: int(budget / cost) for name, cost in self.costs.items()}
        for column, wanted in found.items():
            for name, count in wanted.items():
                if not 1 <= count <= self.counts[name]:
                    raise ConfigError(
                        f"sets.{name}: has {self.counts[name]} pictures, and the column {column!r} takes {count}; "
                        "change sizes or budgets"
                    )
        return found

    @cached_property
    def cells(self) -> list[Cell]:
        """All trainings, those of one seed together: the table is whole, if coarse, after the first."""
        amounts, config = self.amounts(), self.config
        wanted = dict.fromkeys((name, count) for column in amounts.values() for name, count in column.items())
        found = [self._cell(BICUBIC, 0, 0)]
        return found + [self._cell(name, count, seed) for seed in range(config.seeds) for name, count in wanted]

    def _cell(self, name: str, count: int, seed: int) -> Cell:
        what: Any = None
        if name != BICUBIC:
            what = [self.sources[name].identity, self.counts[name]]
        told = digest({"set": json.loads(json.dumps(what)), "pictures": count, "seed": seed})
        return Cell(name, count, seed, self.root / "cells" / f"{name}-{count}-{seed}-{told[:12]}.parquet")

    def pairs(self, cell: Cell) -> DegradedDataset:
        """The pairs of a cell's set; equal keys are degraded equally in every set."""
        from genir.dataset import DegradedDataset

        key = (cell.name, cell.seed)
        if key not in self._pairs:
            self._pairs.clear()
            self._pairs[key] = DegradedDataset(self.config.sets[cell.name], self.degradation, cell.seed)
        return self._pairs[key]

    def pictures(self, cell: Cell) -> list[int]:
        """Which pictures of the set a cell trains on: of one seed a larger cell has those of a smaller one too, and
        runs of equal plans the same tasks.
        """
        pairs = self.pairs(cell)
        order = sorted(range(len(pairs)), key=lambda n: seeds.derive(cell.seed, f"{pairs.number(n):09d}", "utility"))
        return order[: cell.pictures]

    def meaning(self) -> dict[str, Any]:
        """All that makes two tables the same."""
        return {
            **self.config.meaning(),
            "degradation": self.degradation.model_dump(mode="json"),
            "weights": {metric.name: metric.weights for metric in self.metrics},
            "test": self.test.identity,
        }

    def open(self) -> None:
        """Create or resume the folder."""
        config = self.config.model_dump(mode="json")
        publish_run(self.root, DOCUMENT, {}, self.meaning(), config, {"device": self.device.type})
        (self.root / "cells").mkdir(exist_ok=True)

    def description(self) -> list[str]:
        """What this launch is asked for, a line a subject."""
        done = sum(cell.path.exists() for cell in self.cells)
        columns = [
            f"{column:<11} " + ", ".join(f"{name} {count}" for name, count in wanted.items())
            for column, wanted in self.amounts().items()
        ]
        training, crops = self.config.training, self.degradation.crop or "whole pictures"
        return [
            f"run         {self.root}: {len(self.cells)} cells, {done} done",
            *columns,
            f"training    {training.steps} steps of {training.batch} crops of {crops}"
            f", {self.config.degradation.preset} x{self.degradation.scale}, {self.config.seeds} seeds",
            f"test        {self.config.test.crops} crops of each of {self.test.available} photographs",
            f"decides     {self.config.decides}",
            f"device      {self.device}",
        ]


def _cost(place: Place, taken: int) -> float | None:
    """Seconds that the workers of a run were at work, over the pictures that it gives; None: not known."""
    if not isinstance(place, str) or not taken:
        return None
    folder = Path(place).expanduser()
    root = folder if folder.exists() else Path(place.partition("#")[0]).expanduser()
    seconds = sum(report.seconds for report in worker_reports(root))
    return seconds / taken if seconds else None
