"""One launch of `genir score`: every part it needs, made from its configuration; pictures -> rows."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import images, ranks
from genir.errors import ConfigError
from genir.records import Columns, Verdict
from genir.runs.build import build_gates, gate_device
from genir.runs.drive import Stage
from genir.runs.run import Run, check_run, is_planned, open_run
from genir.runs.tables import SCORE
from genir.sources import open_source
from genir.sources.open import SourcePlan
from genir.sources.pictures import Picture, pictures

if TYPE_CHECKING:
    import torch

    from genir.config.score import Score
    from genir.gate import Gate
    from genir.runs.saver import Files

BATCH = 4  # pictures, where the source has no batches of its own

COLUMNS: Columns = {
    "key": "string",
    "source": "string",
    "verdict": "string",
    "reason": "string",
    "error": "string",
    "height": "int",
    "width": "int",
    "pixels_sha256": "string",
    "synthetic": "bool",
}


class Launch:
    """The parts of one launch; raises GenirError for what cannot be used."""

    def __init__(self, config: Score, worker: ranks.Worker) -> None:
        self.config, self.worker = config, worker
        self.root = self._root()
        self.source = open_source(config.source, None, config.column)
        self.batch = config.batch or self.source.batch or BATCH
        self.plan = SourcePlan(self.source, self.batch, self.source.shard_size or config.shard_size)
        there = self.plan.whole(self.source.available)
        if not there:
            raise ConfigError(f"source {config.source}: {self.source.available} pictures are no batch of {self.batch}")
        self.limit = min(there, config.limit or there)

    def _root(self) -> Path:
        """The stage's folder, which is a run directory of its own."""
        run, source = self.config.run, self.config.source
        if run is None and isinstance(source, str):
            place = Path(source if Path(source).exists() else source.partition("#")[0])
            run = str(place) if (place / "plan.json").exists() else None
        if run is None:
            raise ConfigError(f"run is not set, and source {source} is no genir run: say where the scores go (run=...)")
        return Path(run) / f"{SCORE}{self.config.name}"

    @cached_property
    def device(self) -> torch.device:
        """Where the gates run; on a CPU with the planned number of threads."""
        import torch

        torch.set_num_threads(self.config.threads)
        return gate_device(ranks.device(self.config.device, self.worker))

    @cached_property
    def gates(self) -> list[Gate]:
        """What measures every picture."""
        gates = build_gates(self.config.gates, self.device)
        if not gates:
            raise ConfigError("gates: none is set, nothing would be measured")
        return gates

    def meaning(self) -> dict[str, Any]:
        """All that makes two stages the same."""
        meaning = self.config.meaning()
        meaning["gates"]["weights"] = {name: sha for gate in self.gates for name, sha in gate.weights.items()}
        return {
            **meaning,
            "source": self.source.identity,
            "batch": self.batch,
            "shard_size": self.plan.shard_size,
        }

    def check(self) -> None:
        """Refuse another stage's folder, and gates that cannot be loaded; writes nothing."""
        check_run(self.root, self.meaning())

    def open(self) -> Run:
        """Create or resume the stage."""
        columns = dict(COLUMNS)
        for gate in self.gates:
            columns |= gate.columns
        config = self.config.model_dump(mode="json")
        env = {"device": self.device.type}
        return open_run(self.root, self.plan, columns, self.meaning(), config, env, self.worker, stage=".")

    def description(self) -> list[str]:
        """What this launch is asked for, a line a subject."""
        config, gates = self.config, self.config.gates
        places = config.source if isinstance(config.source, str) else ", ".join(config.source.values())
        waiting = self.source.n_tasks - self.plan.whole(self.source.available)
        later = f"; {waiting} more when the source has them" if waiting else ""
        rejected = "nothing" if gates.score_only else ", ".join(check.in_words() for check in gates.checks())
        return [
            f"stage       {self.root}" + (", resumed" if is_planned(self.root) else ", new"),
            f"source      {self.limit} of {self.source.n_tasks} pictures of {places}{later}",
            f"measured    {', '.join(name for gate in self.gates for name in gate.columns)}",
            f"kept where  {rejected or 'nothing is asked'}",
            f"device      {self.device}",
        ]

    def stage(self) -> Stage:
        """What is done with the pictures of a shard: read, then judged."""
        from genir.gate import judge

        wanted, checks = self.config.gates, self.config.gates.checks()
        gates, device = self.gates, self.device

        def judged(batch: list[Picture]) -> None:
            judge([one for one in batch if not one.original.reason], gates, checks, wanted.score_only, device)
            for one in batch:
                if one.original.reason:
                    one.verdict = Verdict("rejected", one.original.reason)

        return Stage(pictures, judged)


def pack(shard: str, picture: Picture) -> Files:
    """The row of a judged picture; no file beside it."""
    assert picture.verdict is not None
    pixels_CHW = picture.pixels_CHW
    height, width = (None, None) if pixels_CHW is None else pixels_CHW.shape[1:]
    return {
        "key": picture.key,
        "source": picture.original.name,
        "verdict": picture.verdict.verdict,
        "reason": picture.verdict.reason,
        "error": picture.error,
        "height": height,
        "width": width,
        "pixels_sha256": None if pixels_CHW is None else images.pixels_sha256(pixels_CHW),
        "synthetic": picture.synthetic,
        **picture.scores,
    }, {}
