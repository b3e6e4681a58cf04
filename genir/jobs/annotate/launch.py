"""One launch of `genir annotate`: the pictures, and the stages that are made of them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import ranks
from genir.annotators.label import DOMAINS
from genir.errors import ConfigError
from genir.jobs.annotate.captions import Captions
from genir.jobs.annotate.consistency import STAGES, Consistency, covered
from genir.jobs.annotate.imported import Imported
from genir.jobs.annotate.labels import Labels
from genir.jobs.annotate.work import Place
from genir.runs.run import IMAGE, is_planned
from genir.sources import Source, open_source
from genir.sources.open import SourcePlan
from genir.sources.run import RunSource

if TYPE_CHECKING:
    import torch

    from genir.config.annotate import Annotate

BATCH = 4  # pictures, where the source has no batches of its own
CONSISTENCY = "consistency"


class Launch:
    """The parts of one launch; raises GenirError for what cannot be used."""

    def __init__(self, config: Annotate, worker: ranks.Worker) -> None:
        self.config, self.worker = config, worker
        self.source = open_source(config.source, None, config.column)
        self.root = self._root()
        self.works = self._works()

    def _root(self) -> Path:
        """The run that gets the labels."""
        config = self.config
        if config.run is not None:
            root = Path(config.run)
            if isinstance(config.source, str) and root.resolve() == Path(config.source).resolve():
                raise ConfigError(f"run {config.run}: is the source; leave run out, its labels go into it")
            return root
        if config.resize is not None or not isinstance(self.source, RunSource) or not isinstance(config.source, str):
            why = "resize is set" if config.resize else f"source {self.places} is no run of images"
            raise ConfigError(f"run is not set, and {why}: say where pictures and labels go (run=...)")
        return Path(config.source if Path(config.source).exists() else config.source.rpartition("#")[0])

    @property
    def places(self) -> str:
        """The source in words."""
        source = self.config.source
        return source if isinstance(source, str) else ", ".join(source.values())

    @property
    def imports(self) -> bool:
        """Are the pictures put into a run of their own first?"""
        return self.config.run is not None

    @cached_property
    def device(self) -> torch.device:
        """Where models run; on a CPU with the planned number of threads."""
        import torch

        torch.set_num_threads(self.config.threads)
        return ranks.device(self.config.device, self.worker)

    def _works(self) -> dict[str, Labels | Captions]:
        """Folder of a stage -> its work; domains before captions."""
        config = self.config
        found: dict[str, Labels | Captions] = {}
        for domain in DOMAINS:
            if domain in config.domains:
                wanted = config.domains[domain]
                labels = Labels(domain, wanted, config.commercial, config.self_check, lambda: self.device)
                found[f"annotation_{domain}"] = labels
        for name, captioner in config.captioners.items():
            found[f"caption_{name}"] = Captions(
                name, captioner, self.root, lambda: self.device, config.commercial, config.checks.people
            )
        return found

    def _place(self, folder: Path, source: Source, limit: int | None, stage: str = ".") -> Place:
        config = self.config
        batch = config.batch or source.batch or BATCH
        plan = SourcePlan(source, batch, source.shard_size or config.shard_size)
        there = plan.whole(source.available)
        if not there:
            raise ConfigError(f"source {self.places}: {source.available} pictures are no batch of {batch}")
        facts = {
            "source": source.identity,
            "batch": batch,
            "shard_size": plan.shard_size,
            "threads": config.threads,
        }
        return Place(folder, plan, facts, min(there, limit or there), self.worker, stage)

    @cached_property
    def importing(self) -> tuple[Place, Imported]:
        """The image stage that is made of the source."""
        place = self._place(self.root, self.source, self.config.limit, IMAGE)
        return place, Imported(self.config.resize and self.config.resize.short, place.plan.batch)

    def pictures(self) -> Source:
        """What is labelled: the source run, or the run that its pictures were put into."""
        return open_source(str(self.root)) if self.imports else self.source

    def place(self, stage: str, pictures: Source) -> Place:
        """Where a stage is made."""
        return self._place(self.root / stage, pictures, self.config.limit)

    def consistency(self, pictures: Source) -> tuple[Place, Consistency] | None:
        """The comparison of depth and normals, as far as both are there."""
        least = self.config.checks.agreement
        if least is None or any(stage not in self.works for stage in STAGES):
            return None
        place = self.place(CONSISTENCY, pictures)
        there = place.plan.whole(min(place.limit, covered(self.root, place.plan)))
        if not there:
            return None
        labels = {stage: self.works[stage].meaning() for stage in STAGES}
        work = Consistency(self.root, place.plan, least, labels)
        return Place(place.folder, place.plan, place.facts, there, place.worker), work

    def check(self) -> None:
        """Refuse folders of other stages; writes nothing."""
        if self.imports:
            place, work = self.importing
            place.check(work)
            if not is_planned(self.root):
                return
        pictures = self.pictures() if self._has_pictures() else None
        if pictures is not None:
            for stage, work in self.works.items():
                self.place(stage, pictures).check(work)

    def _has_pictures(self) -> bool:
        return not self.imports or any((self.root / IMAGE).rglob("000000.done"))

    def description(self) -> list[str]:
        """What this launch is asked for, a line a subject."""
        config, limit = self.config, self.config.limit
        count = self.source.available if limit is None else min(limit, self.source.available)
        size = "" if config.resize is None else f", reduced to a short side of {config.resize.short}"
        lines = [
            f"run         {self.root}" + (", with its pictures" if self.imports else ", the source itself"),
            f"source      {count} of {self.source.n_tasks} pictures of {self.places}{size}",
        ]
        for stage, work in self.works.items():
            state = ", resumed" if is_planned(self.root / stage) else ""
            lines.append(f"stage       {stage}: {self._said(work)}{state}")
        return lines

    def _said(self, work: Labels | Captions) -> str:
        facts: dict[str, Any] = work.said
        revision = f" at {facts['revision']}" if facts["revision"] else ""
        return f"{facts['model']}{revision}, licence {facts['licence']}"
