"""Make batches of an existing run again, from the configuration that lies in it."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import ranks
from genir.config.base import differences, load
from genir.config.generate import Generate
from genir.jobs.generate.launch import Launch
from genir.runs.run import Run, check_run, versions
from genir.runs.saver import row
from genir.runs.summary import read_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genir.backbone.model import Backbone
    from genir.records import Sample, Task
    from genir.runs.drive import Stage
    from genir.shards.files import Row


class Again:
    """One process with the model of a run; the model is loaded when a batch is first made."""

    def __init__(self, root: Path, overrides: Sequence[str]) -> None:
        """Read config.yaml of the run.

        Args:
            root: the run directory.
            overrides: growth only (device=cpu), or where files lie now (prompts=...).

        Raises:
            GenirError: no run there, its files are gone or changed, an override that makes it another run.
        """
        self.root, self.document = root, read_plan(root)
        config = load(Generate, root / "config.yaml", [*overrides, f"run={root}"])
        self.launch = Launch(config, ranks.Worker())
        check_run(root, self.launch.meaning())
        self.plan = self.launch.plan
        self.run = Run(root, self.plan, self.document["columns"], self.document["digest"], self.launch.worker)

    @cached_property
    def backbone(self) -> Backbone:
        """The model, loaded."""
        return self.launch.backbone()

    @cached_property
    def _stage(self) -> Stage:
        return self.launch.stage(self.run, self.backbone, lambda: False)

    def make(self, tasks: list[Task]) -> list[Sample]:
        """One whole batch of the plan, denoised and judged."""
        (samples,) = self._stage.make([tasks])
        self._stage.judge(samples)
        return samples

    def files(self, samples: list[Sample]) -> tuple[list[Row], dict[str, bytes]]:
        """Rows of judged samples, and the tar members of those that are kept."""
        rows, files, packing = [row(sample) for sample in samples], {}, self.launch.packing()
        for sample, facts in zip(samples, rows, strict=True):
            if facts["verdict"] == "kept" and sample.pixels_CHW is not None:
                files |= packing.members(facts, sample.pixels_CHW)
        return rows, files

    def changes(self) -> list[str]:
        """Why bytes may differ from the run's: libraries, device, ... as `key: old -> new`; empty if all is equal."""
        there: dict[str, Any] = json.loads((self.root / "env.json").read_bytes())
        here = {"versions": versions(), **self.launch.environment(self.backbone)}
        del here["model"]  # its place; its files decide
        launches = [there, *there.get("later_launches", [])]
        return [line for old in launches for line in differences({key: old.get(key) for key in here}, here)]
