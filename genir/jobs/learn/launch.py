"""One launch of `genir learn`: what it is asked for, checked before a weight is loaded or a byte written."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import dualprompt, trainset
from genir.backbone import files as model_files
from genir.backbone.families import FAMILIES, check_can
from genir.errors import ConfigError, TrainSetError
from genir.jobs.learn.objectives import pairs, pictures
from genir.jobs.learn.validate import SMALLEST_SET
from genir.promptfile import PromptFiles
from genir.runs.build import load_dual, load_tokenizers, model_about, model_identity
from genir.runs.run import check_run, is_planned

if TYPE_CHECKING:
    from genir.backbone.about import About
    from genir.config.learn import Learn
    from genir.dualprompt import DualPrompt

DOCUMENT = "learn.json"
"""Says what is learned in a run directory, as plan.json says what is made in others."""


class Launch:
    """The parts that need no weights; raises GenirError for what cannot be used."""

    def __init__(self, config: Learn, source: str | None) -> None:
        """`source` is the dual-prompt file that learning goes on from, if any."""
        self.config, self.root = config, Path(config.run)
        self.about = model_about(config.model)
        self.geometry = self.about and self.about.geometry
        if self.about is not None:
            self._check_family(self.about)
        if config.size is None and self.geometry is None:
            raise ConfigError(f"size is not set, and the single file {config.model.id} does not say it")
        self.sizes = config.size or (self.geometry.native_HW,)  # type: ignore[union-attr]
        self._check_sizes()
        self.start: DualPrompt | None = None if source is None else load_dual(source)
        self._check_start()
        self.prompts = PromptFiles(config.validation.prompts)
        self.trainset = trainset.read(Path(config.data.folder), self.sizes)
        self.positives, self.negatives = pictures(config, self.trainset)
        self.pairs = pairs(config, self.trainset)
        """Of the chosen pictures: (positive, negative) of equal pair, origin and size."""
        self._check_objectives()
        self._check_validation()
        self.model_files = model_identity(config.model)
        if self.start is not None and self.about is not None:
            dualprompt.check_model(self.start, config.model.id, self.about.family, self.model_hash)

    @property
    def half(self) -> str:
        """What the model's dtype `auto` is on an accelerator."""
        return "float16" if self.about is None else FAMILIES[self.about.family].half

    @property
    def model_hash(self) -> str:
        """Of the weights that a pair belongs to."""
        return model_files.model_hash(self.model_files)

    @cached_property
    def meaning(self) -> dict[str, Any]:
        """All that makes two runs the same run: the configuration, and the content of every file it names."""
        meaning = self.config.meaning()
        meaning["size"] = [list(size) for size in self.sizes]
        meaning["data"] = {**meaning["data"], "folder": None, "files": self.trainset.sha256}
        meaning["validation"]["prompts"] = [file.sha256 for file in self.prompts.files]
        meaning["start"] = self.start and self.start.sha256
        meaning["model"]["files"] = self.model_files
        return meaning

    def check(self) -> None:
        """Refuse another run's directory; writes nothing."""
        check_run(self.root, self.meaning, DOCUMENT)

    def description(self) -> list[str]:
        """What this launch is asked for, a line a subject."""
        config = self.config
        sizes = " ".join(f"{height}x{width}" for height, width in self.sizes)
        begun = f"{config.tokens.positive} + {config.tokens.negative} vectors from words"
        if self.start is not None:
            begun = f"a pair of step {self.start.step}, whose numbers of vectors and template stay"
        parts = {name: getattr(config.objectives, name).weight for name in ("denoise", "pair", "reward")}
        wanted = " + ".join(f"{weight:g} {name}" for name, weight in parts.items() if weight)
        tuned = ""
        if config.lora:
            side = "both sides" if config.lora.branch == "both" else f"the {config.lora.branch} side"
            tuned = f", LoRA of rank {config.lora.rank} on {' '.join(config.lora.targets)} of {side}"
        chosen = [self.trainset.pictures[n] for n in (*self.positives, *self.negatives)]
        return [
            f"run        {self.root}" + (", resumed" if is_planned(self.root, DOCUMENT) else ", new"),
            f"model      {config.model.id}, {sizes} pixels",
            f"learns     mode {self.start.mode if self.start else config.mode}, begins with {begun}{tuned}",
            f"pictures   {trainset.in_words(chosen)}; {len(self.pairs)} pairs of equal origin",
            f"objective  {wanted}",
            f"steps      {config.steps} of {config.batch} x {config.accumulation} images",
            f"captions   {self._truncated()}",
        ]

    def _truncated(self) -> str:
        model = self.config.model
        if model.config is None and Path(model.id).is_file():
            return "not checked: the single file has no tokenizer beside it"
        loaded = load_tokenizers(model)
        captions = [self.trainset.pictures[n].caption for n in self.positives]
        cut = sum(loaded.truncated(captions, self.start or self._shape()))
        return f"{cut} of {len(captions)} are longer than the text encoder reads, their ends are ignored"

    def _shape(self) -> DualPrompt:
        """A pair of the configured numbers, for counting tokens."""
        import torch

        config = self.config
        sides = ({"embeds": torch.zeros(count, 1)} for count in (config.tokens.positive, config.tokens.negative))
        templates = {"template_positive": config.template.positive, "template_negative": config.template.negative}
        return dualprompt.DualPrompt(config.mode, *sides, model_id="", family="", **templates)

    def _check_family(self, about: About) -> None:
        check_can(about.family, "learn", self.config.model.id)
        if self.config.lora is not None and about.family not in ("sd", "sdxl"):
            raise ConfigError(f"lora: is learned for families sd and sdxl only, not for {about.family}; set lora=null")
        if self.config.learn_pooled and about.family not in dualprompt.POOLED:
            families = ", ".join(dualprompt.POOLED)
            raise ConfigError(
                f"learn_pooled: family {about.family} has no pooled text vector; those that do: {families}"
            )

    def _check_sizes(self) -> None:
        multiple = self.geometry.multiple if self.geometry else 8
        for height, width in self.sizes:
            if height % multiple or width % multiple:
                raise ConfigError(f"size [{height}, {width}]: the model needs multiples of {multiple} pixels")

    def _check_start(self) -> None:
        start, config = self.start, self.config
        if start is not None and start.mode != config.mode:
            raise ConfigError(f"mode {config.mode}: the pair of --from is of mode {start.mode}; set mode={start.mode}")
        if start is None or not start.lora:
            return
        if start.lora_branch != "both" and config.gradient_checkpointing:
            raise ConfigError(
                f"gradient_checkpointing: computes layers again when another pass is under way, and the LoRA of --from "
                f"acts on the {start.lora_branch} one alone; set gradient_checkpointing=false"
            )
        if config.lora and {start.lora_branch, config.lora.branch} != {"both"}:
            raise ConfigError(
                f"lora.branch {config.lora.branch}: the LoRA of --from acts on {start.lora_branch}, and two are "
                "learned one after the other on both sides only; set lora=null, or begin from a pair without a LoRA"
            )

    def _check_objectives(self) -> None:
        wanted, folder = self.config.objectives, self.config.data.folder
        if not self.positives:
            there = trainset.in_words(self.trainset.pictures)
            asked = ", ".join(self.config.data.positives or ("any",))
            raise TrainSetError(
                f"{folder}: no positive of origins {asked}; it has {there}; data.positives=null takes all"
            )
        if wanted.denoise.weight and wanted.denoise.ratio:
            if not self.negatives:
                asked = ", ".join(self.config.data.negatives or ("any",))
                raise TrainSetError(
                    f"{folder}: no negative of origins {asked} ({trainset.in_words(self.trainset.pictures)}); data."
                    "negatives=null takes all, `genir prepare` makes some, objectives.denoise.ratio=0 learns without"
                )
            sizes = [{self.trainset.pictures[n].size_HW for n in side} for side in (self.positives, self.negatives)]
            for size in sorted(sizes[0] - sizes[1]):
                raise TrainSetError(
                    f"{folder}: no negative of size {list(size)}; see data.negatives and size, or set "
                    "objectives.denoise.ratio=0 to learn the positive side alone"
                )
        if (wanted.pair.weight or wanted.reward.weight) and not self.pairs:
            raise TrainSetError(
                f"{folder}: no positive and negative of equal `pair` and `origin` among data.positives and negatives, "
                "so that only objectives.denoise can learn from it; set the weights of pair and reward to 0, choose "
                "other origins, or make pairs with `genir prepare`"
            )

    def _check_validation(self) -> None:
        if self.config.validation.every is None or self.config.validation.distance is None:
            return
        count = len(self.references)
        if count < SMALLEST_SET:
            raise ConfigError(
                f"validation.distance: {count} positives of size {list(self.sizes[0])}, at least {SMALLEST_SET} are "
                "needed; or validation.distance=null"
            )

    @property
    def references(self) -> list[trainset.Picture]:
        """Positives of the size at which validation images are made."""
        positives = (self.trainset.pictures[index] for index in self.positives)
        return [picture for picture in positives if picture.size_HW == self.sizes[0]]
