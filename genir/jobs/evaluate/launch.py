"""One launch of `genir evaluate`: sets, metrics and places, made from its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genir import ranks
from genir.config.evaluate import REFERENCE
from genir.errors import ConfigError
from genir.runs.build import gate_device
from genir.runs.drive import Stage
from genir.runs.run import Run, check_run, is_planned, open_run
from genir.sources import open_source
from genir.sources.open import SourcePlan
from genir.sources.pairs import PairSource, Partners, is_pairs

if TYPE_CHECKING:
    import torch

    from genir.config.evaluate import Evaluate, Place
    from genir.metrics.metric import Extractor, Metric
    from genir.records import Columns
    from genir.sources import Source

BATCH = 16  # pictures, where the source has no batches of its own


@dataclass(frozen=True)
class Set:
    """One set of pictures, and the run directory of its tables."""

    name: str
    place: str
    root: Path
    source: Source
    partners: Partners | None
    plan: SourcePlan
    limit: int


class Launch:
    """The parts of one launch; raises GenirError for what cannot be used."""

    def __init__(self, config: Evaluate, worker: ranks.Worker) -> None:
        self.config, self.worker, self.root = config, worker, Path(config.run)

    @cached_property
    def device(self) -> torch.device:
        """Where pictures are measured; on a CPU with the planned number of threads."""
        import torch

        torch.set_num_threads(self.config.threads)
        return gate_device(ranks.device(self.config.device, self.worker))

    @cached_property
    def metrics(self) -> list[Metric]:
        """Of single images."""
        from genir.metrics import catalogue

        return catalogue.metrics(self.config.metrics, self.device)

    @cached_property
    def extractors(self) -> list[Extractor]:
        """Of features."""
        from genir.metrics import catalogue

        return catalogue.extractors(self.config.features, self.device)

    @cached_property
    def sets(self) -> list[Set]:
        """The sets by name, the reference last."""
        config = self.config
        found = [self._set(name, place) for name, place in config.sets.items()]
        if config.reference is not None and (config.features or self._blind):
            found.append(self._set(REFERENCE, config.reference))
        return found

    @property
    def _blind(self) -> list[Metric]:
        return [metric for metric in self.metrics if not metric.full]

    def _set(self, name: str, place: Place) -> Set:
        source, config = self._open(place, "hq" if name == REFERENCE else "lq"), self.config
        full = name != REFERENCE and any(metric.full for metric in self.metrics)
        partners = self._partners(name, place) if full else None
        if partners is not None:
            partners.check(source, _told(place))
        plan = SourcePlan(source, config.batch or source.batch or BATCH, source.shard_size or config.shard_size)
        there = plan.whole(source.available)
        if not there:
            raise ConfigError(f"sets.{name} {place}: {source.available} pictures are no batch of {plan.batch}")
        return Set(name, _told(place), self.root / name, source, partners, plan, min(there, config.limit or there))

    def _open(self, place: Place, side: Literal["hq", "lq"]) -> Source:
        if isinstance(place, str) and is_pairs(place):
            return PairSource(Path(place).expanduser(), side)
        return open_source(place, None, self.config.column)

    def _partners(self, name: str, place: Place) -> Partners:
        if self.config.reference is not None:
            return Partners(self._reference, _told(self.config.reference))
        if isinstance(place, str) and is_pairs(place):
            return Partners(PairSource(Path(place).expanduser(), "hq"), place)
        asked = [metric.name for metric in self.metrics if metric.full]
        raise ConfigError(
            f"metrics {', '.join(asked)}: compare with a reference, and sets.{name} has none (reference=...)"
        )

    @cached_property
    def _reference(self) -> Source:
        assert self.config.reference is not None
        return self._open(self.config.reference, "hq")

    def asked(self, one: Set) -> list[Metric]:
        """The reference itself has no reference."""
        return self._blind if one.name == REFERENCE else self.metrics

    def meaning(self, one: Set) -> dict[str, Any]:
        """All that makes two evaluations of a set the same."""
        partners = one.partners and one.partners.identity
        return {
            **self.config.meaning(),
            "metrics": [metric.name for metric in self.asked(one)],
            "weights": {part.name: part.weights for part in (*self.asked(one), *self.extractors)},
            "source": one.source.identity,
            "reference": partners,
            "batch": one.plan.batch,
            "shard_size": one.plan.shard_size,
        }

    def check(self) -> None:
        """Refuse what cannot be done before anything is written."""
        for one in self.sets:
            check_run(one.root, self.meaning(one))

    def open(self, one: Set) -> Run:
        """Create or resume the tables of a set."""
        from genir.jobs.evaluate.measure import COLUMNS

        columns: Columns = {**COLUMNS, **{metric.name: "float" for metric in self.asked(one)}}
        config = self.config.model_dump(mode="json")
        env = {"device": self.device.type}
        return open_run(one.root, one.plan, columns, self.meaning(one), config, env, self.worker, stage=".")

    def stage(self, one: Set) -> Stage:
        """Read, then measured."""
        from genir.jobs.evaluate.measure import Measure, read

        partner = None if one.partners is None else one.partners.of
        measure = Measure(self.asked(one), self.extractors, self.config.crop_border, self.device)
        return Stage(partial(read, partner=partner), measure)

    def description(self) -> list[str]:
        """What this launch is asked for, a line a subject."""
        sets = [
            f"{one.name:<11} {one.limit} of {one.source.n_tasks} pictures of {one.place}"
            + (", resumed" if is_planned(one.root) else "")
            for one in self.sets
        ]
        measured = [part.name for part in (*self.metrics, *self.extractors)]
        return [*sets, f"measured    {', '.join(measured)}", f"device      {self.device}", f"results     {self.root}"]


def _told(place: Place) -> str:
    return place if isinstance(place, str) else ", ".join(place.values())
