"""`genir generate`: make the planned images, gate them, store them in shards; the same command resumes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import ranks, storage
from genir.backbone import files as model_files
from genir.config.generate import Generate
from genir.errors import ConfigError, PlanError
from genir.images import estimated_bytes
from genir.plan import Plan
from genir.promptfile import PromptFiles
from genir.runs.claims import Claims
from genir.runs.run import Run, is_planned, open_run
from genir.runs.summary import Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genir.backbone.model import Backbone
    from genir.gate import Gate
    from genir.records import Sample, Task

log = logging.getLogger("genir")

PREVIEW_TILES = 32


def generate(config: Generate) -> int:
    """Run one worker.

    Returns:
        The exit code: 0 when nothing is left for this worker, 75 when it was stopped early.

    Raises:
        GenirError: anything a user can mend.
    """
    stop = ranks.StopSignal()
    worker = ranks.worker()
    job = _Job(config, worker)
    if is_planned(job.root) and _nothing_left(job.open(), config):
        return _report(job.root, config, None)
    run, backbone, gates = job.prepare()
    return _work(run, backbone, gates, config, stop)


class _Job:
    """What is known before the model is loaded."""

    def __init__(self, config: Generate, worker: ranks.Worker) -> None:
        self.config, self.worker, self.root = config, worker, Path(config.run)
        self.prompts = PromptFiles(config.prompts)
        if not is_planned(self.root):
            self.prompts.check()
        self.plan = Plan(
            self.prompts, config.seed, config.replicas, config.size, config.batch, config.shard_size
        )
        model = config.model
        self.model_files = model_files.identity(
            model.id,
            revision=model.revision,
            variant=model.variant,
            vae=model.vae,
            loras=[lora.id for lora in model.loras],
        )
        self.dual_sha256 = None if config.dual is None else storage.sha256(_existing(config.dual))

    def meaning(self) -> dict[str, Any]:
        """All that makes two runs the same run: configuration and the content of every file it names."""
        meaning = self.config.meaning()
        meaning["prompts"] = [file.sha256 for file in self.prompts.files]
        meaning["dual"] = self.dual_sha256
        meaning["model"]["files"] = self.model_files
        return meaning
