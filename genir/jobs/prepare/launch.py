"""One launch of `genir prepare`: every part it needs, made from its configuration."""

from __future__ import annotations

import io
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import embedded, images, ranks, storage
from genir.backbone.families import check_can
from genir.chat.ask import Chat, Question, parse_object
from genir.errors import ConfigError
from genir.jobs.prepare.packing import COLUMNS, Packing
from genir.photographs import Photographs
from genir.plan import PhotographPlan
from genir.promptfile import PromptFiles
from genir.runs.build import chat_model, gate_device, load_backbone, model_about, model_identity
from genir.runs.drive import Stage
from genir.runs.run import Run, check_run, is_planned, open_run
from genir.runs.summary import human_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import torch

    from genir.backbone.about import About, Geometry
    from genir.backbone.model import Backbone
    from genir.config.prepare import Prepare, Sdedit
    from genir.pairs import Check, Edit

NIQE_96_FROM = 384
"""Pixels of the short side from which NIQE looks at patches of 96 pixels: at least 16 of them."""
LONGEST_CAPTION = 1000


class Launch:
    """The parts of one launch; raises GenirError for what cannot be used."""

    def __init__(self, config: Prepare, worker: ranks.Worker) -> None:
        self.config, self.worker, self.root = config, worker, Path(config.run)
        folder = str(embedded.hq_folder()) if config.images == "embedded" else config.images
        self.photographs = Photographs(folder, config.captions.column)
        if self.about is not None:
            check_can(self.about.family, "prepare", config.model.id)
        self.sizes = config.size or (self._native_size(),)
        self.plan = PhotographPlan(
            self.photographs.folder, self.photographs.names, self.sizes, config.batch, config.shard_size
        )
        self.model_files = model_identity(config.model)

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
        """Where the model runs; on a CPU with the planned number of threads."""
        import torch

        torch.set_num_threads(self.config.threads)
        torch.backends.cudnn.deterministic = True
        return ranks.device(self.config.device, self.worker)

    @cached_property
    def metric(self) -> str:
        """What says that a negative is worse."""
        shortest = min(min(size) for size in self.sizes)
        auto = "niqe_96" if shortest >= NIQE_96_FROM else "niqe_32"
        return auto if self.config.worse.metric == "auto" else self.config.worse.metric

    @cached_property
    def words(self) -> dict[str, list[str]]:
        """Words of the edits by side; raises PromptError."""
        wanted = self.config.sdedit
        if wanted is None:
            return {}
        files = {"quality": PromptFiles([wanted.quality]), "degradation": PromptFiles([wanted.degradation])}
        return {side: [prompt.text for prompt in file.read(0, file.count)] for side, file in files.items()}

    def backbone(self) -> Backbone:
        """Load the model; no dual prompt, it is going to be learned."""
        return load_backbone(self.config.model, self.device)

    def check(self) -> None:
        """Refuse another run's directory, sizes that the model or the metric cannot take, words that cannot be read,
        photographs that nobody describes, a disk without room: nothing is written, no weight of the model loaded.
        """
        check_run(self.root, self.meaning())
        import torch

        multiple = self.geometry.multiple if self.geometry else 8
        check = self._check()
        for height, width in self.sizes:
            if height % multiple or width % multiple:
                raise ConfigError(f"size [{height}, {width}]: the model needs multiples of {multiple} pixels")
            check.score(torch.zeros(1, 3, height, width, dtype=torch.uint8))
        if self.config.captions.chat is None and not self.described():
            raise ConfigError(
                f"captions: none of the {len(self.photographs.names)} photographs in {self.config.images} has a text: "
                "put NAME.txt beside NAME.jpg, or a metadata.jsonl there, or set captions.chat"
            )
        folder = next(path for path in (self.root, *self.root.absolute().parents) if path.is_dir())
        room, batch = storage.free_bytes(folder), self.config.batch * self.photograph_bytes()
        if room < 4 * batch:
            facts = f"{human_bytes(room)} free, a batch needs about {human_bytes(batch)}"
            raise ConfigError(f"{folder}: {facts}; free some space or choose another run directory (run=...)")

    def described(self) -> int:
        """How many photographs already have a text."""
        return sum(bool(self.photographs.caption(name)) for name in self.photographs.names)

    def pictures(self) -> int:
        """Pictures made of one photograph, itself included."""
        edits = 0 if self.config.sdedit is None else 1 + self.config.sdedit.negatives_per_image
        return 2 * (1 + self.config.degraded_per_image) + edits

    def photograph_bytes(self) -> int:
        """Estimated bytes that all pictures of one photograph take."""
        return self.pictures() * max(images.estimated_bytes(height, width, "png") for height, width in self.sizes)

    def open(self, backbone: Backbone | None = None) -> Run:
        """Create or resume the run directory; only with the loaded model is env.json written."""
        env = backbone and {
            "model": self.config.model.id,
            "model_files": self.model_files,
            "device": self.device.type,
            "model_licence": backbone.licence.name,
            "outputs_may_train": backbone.licence.in_words(),
        }
        config = self.config.model_dump(mode="json")
        return open_run(self.root, self.plan, COLUMNS, self.meaning(), config, env, self.worker)

    def meaning(self) -> dict[str, Any]:
        """All that makes two runs the same run: the configuration, and what the files it names hold."""
        from genir.detectors import faces

        meaning = self.config.meaning()
        meaning["size"] = [list(size) for size in self.sizes]
        meaning["images"] = self.photographs.sha256
        if self.words:
            meaning["sdedit"] |= self.words
        for place in ("id", "revision", "config", "vae"):  # a model may move; what its files hold decides
            del meaning["model"][place]
        meaning["model"]["loras"] = [lora.weight for lora in self.config.model.loras]
        meaning["model"]["files"] = self.model_files
        meaning["worse"]["metric"] = self.metric
        meaning["face"]["weights"] = faces.weights_sha256()
        return meaning

    def description(self) -> list[str]:
        """What this launch is asked for, a line a subject."""
        config, plan = self.config, self.plan
        limited = plan.n_tasks if config.limit is None else min(config.limit, plan.n_tasks)
        sizes = " ".join(f"{height}x{width}" for height, width in self.sizes)
        chat = config.captions.chat
        asked = "rejected" if chat is None else f"described by {chat.model}" + (f" at {chat.url}" if chat.url else "")
        edit = config.sdedit
        edits = "none" if edit is None else f"{edit.negatives_per_image} of {edit.words} words at {edit.strength:g}"
        return [
            f"run         {self.root}" + (", resumed" if is_planned(self.root) else ", new"),
            f"model       {config.model.id} on {self.device}",
            f"photographs {limited} of {plan.n_tasks} in {config.images}, at {sizes} pixels, batches of {config.batch}",
            f"captions    {self.described()} of {plan.n_tasks} have a text, others are {asked}",
            f"negatives   a photograph: {config.degraded_per_image} degraded (below {config.worse.psnr:g} dB), "
            f"{edits} by SDEdit (worse by {config.worse.margin:g} {self.metric})",
            f"disk        about {human_bytes(limited * self.photograph_bytes())}",
        ]

    def packing(self) -> Packing:
        """How pictures become files."""
        return Packing(self.root, self.metric)

    def stage(self, backbone: Backbone, stop: Callable[[], bool]) -> Stage:
        """What is done with the photographs of a shard."""
        from genir.detectors.faces import FaceDetector
        from genir.pairs import Maker

        face = self.config.face
        maker = Maker(
            folder=self.photographs.folder,
            seed=self.config.seed,
            backbone=backbone,
            faces=FaceDetector(gate_device(self.device), tuple(face.scales), face.long_side),
            face_threshold=face.threshold,
            caption=self._caption(),
            degraded=self.config.degraded_per_image,
            edit=self.config.sdedit and self._edit(self.config.sdedit),
            check=self._check(),
            should_stop=stop,
        )

        return Stage(maker.prepare, maker.judge)

    def _edit(self, wanted: Sdedit) -> Edit:
        from genir.backbone.guidance import Guidance
        from genir.pairs import Edit

        return Edit(
            strength=wanted.strength,
            steps=wanted.steps,
            guidance=Guidance(**wanted.guidance.model_dump()),
            per_image=wanted.negatives_per_image,
            words=wanted.words,
            quality=self.words["quality"],
            degradation=self.words["degradation"],
            template=wanted.template,
        )

    def _check(self) -> Check:
        from genir.metrics.niqe import load_model, niqe
        from genir.metrics.piqe import piqe
        from genir.pairs import Check

        wanted = self.config.worse
        if self.metric == "piqe":
            return Check(wanted.psnr, "piqe", piqe, wanted.margin)
        statistics = load_model(self.metric)
        return Check(wanted.psnr, self.metric, lambda images_NCHW: niqe(images_NCHW, statistics), wanted.margin)

    def _caption(self) -> Callable[[Sequence[tuple[str, np.ndarray]]], list[tuple[str, str]]]:
        """The text that a photograph has, else the model's."""
        wanted = self.config.captions.chat
        model = None if wanted is None else chat_model(wanted, lambda: self.device)
        chat = None if wanted is None or model is None else Chat(model, self.root / "chat", wanted.tries)

        def describe(photographs: Sequence[tuple[str, np.ndarray]]) -> list[tuple[str, str]]:
            own = [self.photographs.caption(name) for name, _ in photographs]
            asked = [index for index, caption in enumerate(own) if not caption]
            found = [(caption, "" if caption else "no text, and captions.chat is not set") for caption in own]
            if wanted is None or model is None or chat is None or not asked:
                return found
            questions = [Question(wanted.instruction, (_jpeg(photographs[index][1]),)) for index in asked]
            parse = parse_caption if model.is_told else one_line
            for index, answer in zip(asked, chat.ask(questions, parse), strict=True):
                found[index] = (answer.value or "", answer.error)
            return found

        return describe


def parse_caption(text: str) -> str:
    """The caption in the answer {"caption": ...}; raises ValueError, worded to follow "the answer ..."."""
    return one_line(parse_object(text, {"caption": str})["caption"])


def one_line(text: str) -> str:
    """The caption of a model that only describes; raises ValueError, worded to follow "the answer ..."."""
    caption = " ".join(text.split())
    if not any(character.isalpha() for character in caption):
        raise ValueError("holds no caption")
    if len(caption) > LONGEST_CAPTION:
        raise ValueError(f"has {len(caption)} characters, allowed are {LONGEST_CAPTION}")
    return caption


def _jpeg(pixels_CHW: np.ndarray) -> bytes:
    """What the model is shown: a fifth of the bytes of a PNG, and no caption depends on the difference."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels_CHW.transpose(1, 2, 0)).save(out, "JPEG", quality=95)
    return out.getvalue()
