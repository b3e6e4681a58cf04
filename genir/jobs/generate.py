"""`genir generate`: make the planned images, gate them, store them in shards; the same command resumes."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import ranks, storage
from genir.backbone import files as model_files
from genir.config.generate import Bound, Gates, Generate
from genir.errors import ConfigError, PlanError
from genir.images import estimated_bytes
from genir.plan import Plan
from genir.promptfile import PromptFiles
from genir.runs.claims import Claims
from genir.runs.drive import Guard, Tally, drive
from genir.runs.progress import Progress, log_to_file, worker_name
from genir.runs.run import Run, is_planned, open_run
from genir.runs.saver import BASE_COLUMNS, Packing
from genir.runs.summary import Summary, summarise
from genir.sheet import Tile, contact_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from genir.backbone.model import Backbone
    from genir.dualprompt import DualPrompt
    from genir.gate import Gate
    from genir.records import Sample, Task

log = logging.getLogger("genir")

PREVIEW_TILES = 32
DRY_RUN_PROMPTS = 20_000  # more prompts than this are sampled when a dry run looks for truncated ones


def generate(config: Generate) -> int:
    """Be one worker of the run.

    Returns:
        The exit code: 0 when nothing is left for this worker, else the launcher's code for "run again".

    Raises:
        GenirError: anything a user can mend.
    """
    stop, job = ranks.StopSignal(), Job(config, ranks.worker())
    if is_planned(job.root):  # refuse a changed config, and see that nothing is left, before the model is loaded
        run = job.open()
        claims = Claims(run, config.limit, config.target.kept, stop)
        if not claims.any_left():
            return _finish(run, claims, config, stop)
    backbone = job.backbone()
    job.check(backbone)
    run = job.open()
    name = worker_name()
    log_to_file(run, name)
    claims = Claims(run, config.limit, config.target.kept, stop)
    with Progress(run, name, claims.tasks_left()) as progress:
        tally = drive(claims, job.stage(run, backbone, stop), job.packing(), job.guard, stop, progress)
        progress.beat(tally)
    _log_tally(tally)
    return _finish(run, claims, config, stop)


class Job:
    """The parts of one launch, made from its configuration; raises GenirError for what cannot be used."""

    def __init__(self, config: Generate, worker: ranks.Worker) -> None:
        self.config, self.worker, self.root = config, worker, Path(config.run)
        self.prompts = PromptFiles(config.prompts)
        if not is_planned(self.root):
            self.prompts.check()
        self.plan = Plan(self.prompts, config.seed, config.replicas, config.size, config.batch, config.shard_size)
        self.guard = Guard(config.guard.min_keep, config.guard.after)
        model = config.model
        self.model_files = model_files.identity(
            model.id,
            revision=model.revision,
            variant=model.variant,
            vae=model.vae,
            loras=[lora.model_dump() for lora in model.loras],
            config=model.config,
        )

    @cached_property
    def device(self) -> torch.device:
        """Where model and gates run; on a CPU with the planned number of threads."""
        import torch

        torch.set_num_threads(self.config.threads)
        torch.backends.cudnn.deterministic = True
        return ranks.device(self.config.device, self.worker)

    @cached_property
    def dual(self) -> DualPrompt | None:
        """The learned pair, if one is configured."""
        from genir import dualprompt

        return None if self.config.dual is None else dualprompt.load(self.config.dual)

    @cached_property
    def gates(self) -> list[Gate]:
        """The gates, the face gate first."""
        from genir import gate

        wanted, gates = self.config.gates, []
        if wanted.face is not None:
            face = wanted.face
            gates.append(gate.face_gate(face.threshold, face.scales, face.long_side, self.device))
        if wanted.signal is not None:
            gates.append(gate.signal_gate(wanted.signal.bounds()))
        if wanted.quality:
            gates.append(gate.quality_gate({n: (b.min, b.max) for n, b in wanted.quality.items()}, self.device))
        return gates

    def backbone(self) -> Backbone:
        """Load the model and apply the dual prompt."""
        from genir.backbone.load import load

        model = self.config.model
        scheduler = model.scheduler and {"name": model.scheduler.name, **model.scheduler.options()}
        backbone = load(
            model.id,
            revision=model.revision,
            variant=model.variant,
            dtype=model.dtype,
            vae=model.vae,
            scheduler=scheduler,
            loras=[lora.model_dump() for lora in model.loras],
            config=model.config,
            device=self.device,
            attention=model.attention,
        )
        backbone.apply(self.dual, model_hash=model_files.model_hash(self.model_files))
        return backbone

    def check(self, backbone: Backbone) -> None:
        """Refuse sizes that the model or a gate cannot take, and a disk without room, before work starts."""
        import torch

        for height, width in self.config.size:
            multiple = backbone.size_multiple
            if height % multiple or width % multiple:
                raise ConfigError(f"size [{height}, {width}]: the model needs multiples of {multiple} pixels")
            for gate in self.gates:
                gate.score(torch.zeros(1, 3, height, width, dtype=torch.uint8))
        folder = next(path for path in (self.root, *self.root.absolute().parents) if path.is_dir())
        room, batch = storage.free_bytes(folder), self.config.batch * max(self.image_bytes())
        if room < 4 * batch:
            raise ConfigError(f"{folder}: {_size(room)} free, a batch needs {_size(batch)}; free some space or use run=...")

    def image_bytes(self) -> list[int]:
        """Estimated bytes of one stored image, by size."""
        return [estimated_bytes(height, width, self.config.image.format) for height, width in self.config.size]

    def open(self) -> Run:
        """Create or resume the run directory."""
        columns = {**BASE_COLUMNS, **{name: kind for gate in self.gates for name, kind in gate.columns.items()}}
        meaning = self.config.meaning()
        meaning["prompts"] = [file.sha256 for file in self.prompts.files]
        meaning["dual"] = self.dual and self.dual.sha256
        meaning["model"]["files"] = self.model_files
        env = {"model": self.config.model.id, "model_files": self.model_files, "device": _device_name(self.device)}
        config = self.config.model_dump(mode="json")
        return open_run(self.root, self.plan, columns, meaning, config, env, self.worker)

    def packing(self) -> Packing:
        """How samples become files."""
        config = self.config
        provenance = {
            "model": config.model.id,
            "dual": self.dual and self.dual.sha256,
            "negative": config.negative,
            "steps": config.steps,
            "guidance": config.guidance.model_dump(),
        }
        rejects = self.root / "rejects" if config.keep_rejects.quality == "all" else None
        return Packing(config.image.format, config.image.level, provenance, rejects)

    def stage(self, run: Run, backbone: Backbone, stop: ranks.StopSignal):  # noqa: ANN201
        """What is done with the batches of a shard."""
        from genir.gate import judge
        from genir.sample import Settings, sample

        from genir.backbone.guidance import Guidance
        from genir.backbone.sdxl import Micro

        settings = Settings(
            self.config.steps,
            Guidance(**self.config.guidance.model_dump()),
            Micro(**self.config.micro.model_dump()),
            self.config.negative,
        )

        def made(shard: int, batches: list[list[Task]]) -> Iterator[list[Sample]]:
            judged = judge(sample(batches, backbone, settings, stop), self.gates, self.config.gates.score_only)
            return _previewed(run.root / "preview.png", judged) if shard == 0 else judged

        return made
