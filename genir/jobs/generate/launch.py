"""One launch of `genir generate`: every part it needs, made from its configuration."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import ranks, storage
from genir.backbone import files as model_files
from genir.backbone.families import FAMILIES
from genir.config.making import in_words
from genir.errors import ConfigError
from genir.images import estimated_bytes
from genir.jobs.generate import sizes
from genir.jobs.generate.preview import Preview
from genir.plan import Plan
from genir.promptfile import PromptFiles
from genir.runs.build import (
    build_gates,
    gate_device,
    load_backbone,
    load_dual,
    make_fast,
    model_about,
    model_identity,
    sampling,
)
from genir.runs.drive import Guard, Stage
from genir.runs.run import Run, check_run, is_planned, open_run
from genir.runs.saver import BASE_COLUMNS, Packing
from genir.runs.summary import human_bytes
from genir.weighted import Weighted

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from genir.backbone.about import About, Geometry
    from genir.backbone.guidance import Guidance
    from genir.backbone.model import Backbone
    from genir.config.generate import Generate
    from genir.dualprompt import DualPrompt
    from genir.gate import Gate
    from genir.records import Sample
    from genir.runs.mirror import Mirror


class Launch:
    """The parts of one launch; raises GenirError for what cannot be used."""

    def __init__(self, config: Generate, worker: ranks.Worker, mirror: Mirror | None = None) -> None:
        self.config, self.worker, self.mirror = config, worker, mirror
        self.root = Path(config.run) if mirror is None else mirror.root
        self.prompts = PromptFiles(config.prompts)
        if not is_planned(self.root):
            self.prompts.check()
        self.sizes = config.size or (self._native_size(),)
        prompts, replicas = self.prompts, config.replicas
        if config.weights:
            prompts, replicas = Weighted(prompts, config.weights, replicas), 1
        self.plan = Plan(prompts, config.seed, replicas, self.sizes, config.batch, config.shard_size)
        self.guard = Guard(config.guard.min_keep, config.guard.after)
        self.model_files = model_identity(config.model)
        self.speed: list[str] = []
        """Options in use, once the model is loaded."""

    @cached_property
    def about(self) -> About | None:
        """What the model's configs say of it, if it has any."""
        return model_about(self.config.model)

    @property
    def geometry(self) -> Geometry | None:
        """The sizes that the model can make, as far as its configs say."""
        return self.about and self.about.geometry

    def _native_size(self) -> tuple[int, int]:
        if self.geometry is None:
            raise ConfigError(f"size is not set, and the single file {self.config.model.id} does not say it")
        return self.geometry.native_HW

    @cached_property
    def device(self) -> torch.device:
        """Where model and gates run; on a CPU with the planned number of threads."""
        import torch

        torch.set_num_threads(self.config.threads)
        torch.backends.cudnn.deterministic = True
        return ranks.device(self.config.device, self.worker)

    @cached_property
    def gate_device(self) -> torch.device:
        """Where the gates run."""
        return gate_device(self.device)

    @cached_property
    def dual(self) -> DualPrompt | None:
        """The learned pair, if one is configured."""
        return None if self.config.dual is None else load_dual(self.config.dual)

    @cached_property
    def gates(self) -> list[Gate]:
        """What measures every image."""
        return build_gates(self.config.gates, self.gate_device)

    def backbone(self) -> Backbone:
        """Load the model, apply the dual prompt, and switch on what makes it fast."""
        config = self.config
        backbone = load_backbone(config.model, self.device, offloaded=config.speed.group_offload)
        backbone.apply(self.dual, model_hash=model_files.model_hash(self.model_files))
        self.speed = make_fast(backbone, config, self.device, max(self.sizes, key=math.prod))
        return backbone

    def check(self) -> None:
        """Refuse another run's directory, sizes that the model or a gate cannot take, a disk without room: nothing is
        written, no weight of the model loaded.
        """
        check_run(self.root, self.meaning())
        self._check_family()
        from genir.gate import check_size

        for size in self.stored_sizes:
            for gate in self.gates:
                check_size(gate, size, self.gate_device)
        folder = self.existing_folder()
        room, batch = storage.free_bytes(folder), self.config.batch * max(self.image_bytes())
        if room < 4 * batch:
            facts = f"{human_bytes(room)} free, a batch needs about {human_bytes(batch)}"
            raise ConfigError(f"{folder}: {facts}; free some space or choose another run directory (run=...)")

    def _check_family(self) -> None:
        """Refuse what the model's family cannot do."""
        if self.about is None:
            return
        config, family = self.config, self.about.family
        self.guidance.of_passes(self.about.is_told_scale)
        if family != "sdxl" and config.micro != type(config.micro)():
            raise ConfigError(f"micro: family {family} is told no sizes, only sdxl is; leave micro out")
        if FAMILIES[family].tuned:
            if self.dual is not None:
                from genir.dualprompt import check_model

                check_model(self.dual, config.model.id, family, model_files.model_hash(self.model_files))
            return
        if config.dual is not None:
            raise ConfigError(f"dual {config.dual}: family {family} only generates, with plain prompts; set dual=null")
        if config.hires is not None:
            raise ConfigError(f"hires: family {family} only generates, in one pass; set hires=null")
        if config.offload_text_encoders:
            raise ConfigError(
                f"offload_text_encoders: family {family} encodes in its pipeline's own call; set it to false"
            )
        self.guidance.check_scale_alone(family)

    @property
    def guidance(self) -> Guidance:
        """When and how strongly the negative side pushes."""
        from genir.backbone.guidance import Guidance

        return Guidance(**self.config.guidance.model_dump())

    def existing_folder(self) -> Path:
        """The run directory, or the nearest folder above it that exists."""
        return next(path for path in (self.root, *self.root.absolute().parents) if path.is_dir())

    def image_bytes(self) -> list[int]:
        """Estimated bytes of one stored image, by size."""
        return [estimated_bytes(height, width, self.config.image.format) for height, width in self.stored_sizes]

    @property
    def stored_sizes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of the images as they are judged and stored, for each of `sizes`; raises ConfigError."""
        multiple = self.geometry.multiple if self.geometry else 8
        return tuple(sizes.stored_size(self.config, size, multiple) for size in self.sizes)

    def open(self, backbone: Backbone | None = None) -> Run:
        """Create or resume the run directory; only with the loaded model is env.json written."""
        columns = dict(BASE_COLUMNS)
        for gate in self.gates:
            columns |= gate.columns
        env = backbone and self.environment(backbone)
        config = self.config.model_dump(mode="json")
        return open_run(self.root, self.plan, columns, self.meaning(), config, env, self.worker, self.mirror)

    def environment(self, backbone: Backbone) -> dict[str, Any]:
        """What env.json says of this launch beside the versions of the libraries."""
        return {
            "model": self.config.model.id,
            "model_files": self.model_files,
            "device": device_name(self.device),
            "model_licence": backbone.licence.name,
            "outputs_may_train": backbone.licence.in_words(),
            "attention": backbone.attention,
            "speed": self.speed,
        }

    def meaning(self) -> dict[str, Any]:
        """All that makes two runs the same run: the configuration, and the content of every file it names."""
        meaning = self.config.meaning()
        meaning["size"] = [list(size) for size in self.sizes]
        meaning["prompts"] = [file.sha256 for file in self.prompts.files]
        meaning["dual"] = self.dual and self.dual.sha256
        for place in ("id", "revision", "config", "vae"):  # a model may move; what its files hold decides
            del meaning["model"][place]
        meaning["model"]["loras"] = [lora.weight for lora in self.config.model.loras]
        meaning["model"]["files"] = self.model_files
        meaning["gates"]["weights"] = {name: sha for gate in self.gates for name, sha in gate.weights.items()}
        return meaning

    def description(self) -> list[str]:
        """What this launch is asked for, a line a subject."""
        config, plan = self.config, self.plan
        native = self.geometry and self.geometry.native_HW
        pixels = " ".join(f"{height}x{width}" for height, width in self.sizes)
        if native and self.sizes != (native,):
            pixels += f" (the model was trained at {native[0]}x{native[1]})"
        limited = plan.n_tasks if config.limit is None else min(config.limit, plan.n_tasks)
        after = in_words(config.hires, config.post, config.crop)
        target = f" until {config.target.kept} are kept" if config.target.kept else ""
        return [
            f"run        {config.run}" + (", resumed" if is_planned(self.root) else ", new"),
            f"model      {config.model.id}, {config.steps} steps, guidance {config.guidance.scale:g}, "
            f"dual prompt {config.dual or 'none'}, on {self.device}",
            f"prompts    {self.prompts.count} from {', '.join(config.prompts)}, {config.replicas} replicas"
            + (", drawn by weight" if config.weights else ""),
            f"tasks      {limited} of {plan.n_tasks}{target}, {pixels} pixels{after}, in batches of {config.batch}",
            f"shards     {plan.shards_within(config.limit)} of {config.shard_size} tasks",
            f"gates      {self._gates_in_words()}",
            *self._family_in_words(),
        ]

    def _family_in_words(self) -> list[str]:
        """Whose images they are, and a negative side that has no part in them."""
        about, dual = self.about, self.config.dual
        if about is None:
            return ["licence    unknown: the single file does not say it"]
        lines = [f"licence    {about.licence.name}; may its images train other models? {about.licence.in_words()}"]
        if self.guidance.of_passes(about.is_told_scale).scale <= 1:
            side = "the dual prompt's negative side" if dual else "`negative`" if self.config.negative else ""
            told = f"the model is told guidance {self.config.guidance.scale:g}, true_cfg is not above 1"
            why = told if about.is_told_scale else f"guidance {self.config.guidance.scale:g} is not above 1"
            lines.append(f"one pass   {why}: no negative pass" + (f", {side} is not used" if side else ""))
        return lines

    def _gates_in_words(self) -> str:
        gates = self.config.gates
        if gates.score_only:
            return "score only, nothing is rejected"
        words = ["NO FACE GATE"] if gates.face is None else []
        return ", ".join(words + [check.in_words() for check in gates.checks()])

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
        for name, key in (("hires", config.hires), ("post", config.post)):
            if key is not None:
                provenance[name] = key.model_dump()
        rejects = self.root / "rejects" if config.keep_rejects.quality == "all" else None
        return Packing(config.image.format, config.image.level, provenance, rejects)

    def stage(self, run: Run, backbone: Backbone, stop: Callable[[], bool]) -> Stage:
        """What is done with the batches of a shard: sampled, then judged and previewed."""
        import torch

        from genir.gate import judge
        from genir.sample import sample

        config, device = self.config, self.gate_device
        settings = sampling(config)
        gates, checks = self.gates, config.gates.checks()
        preview = Preview(run.root / "preview.png", config.shard_size)
        # a stream of their own, else every number that a gate returns waits for the denoising steps queued before it
        beside = torch.cuda.Stream(device) if device.type == "cuda" else None

        def judged(samples: list[Sample]) -> None:
            with torch.cuda.stream(beside):
                judge(samples, gates, checks, config.gates.score_only, device)
            preview.add(samples)

        return Stage(lambda batches: sample(batches, backbone, settings, stop), judged)


def device_name(device: torch.device) -> str:
    """For people."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
