"""Configuration -> parts: text-to-image models, gates, models that are asked (nothing is loaded at import)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genir import embedded
from genir.backbone import about, files, hub
from genir.backbone.families import FAMILIES
from genir.config.gates import PYIQA
from genir.errors import ConfigError
from genir.resources import locate

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from genir.backbone.model import Backbone
    from genir.backbone.tokenizers import Tokenizers
    from genir.chat.ask import Model as ChatModel
    from genir.config.gates import Gates, JudgeGate
    from genir.config.generate import Generate
    from genir.config.shared import ChatConfig, Model
    from genir.dualprompt import DualPrompt
    from genir.gate import Gate
    from genir.sample import Settings


def model_identity(model: Model) -> dict[str, str]:
    """File -> SHA-256 of everything the model consists of; raises ModelError."""
    return files.identity(
        model.id,
        revision=model.revision,
        variant=model.variant,
        vae=model.vae,
        loras=_loras(model),
        config=model.config,
    )


def model_about(model: Model) -> about.About | None:
    """What the configs of the model say of it; None for a single file without them. Raises ModelError."""
    return about.about(model.id, revision=model.revision, variant=model.variant, config=model.config)


def load_backbone(model: Model, device: torch.device, *, offloaded: bool = False) -> Backbone:
    """Load the model, without a dual prompt; `offloaded`: into main memory, for `device`. Raises ModelError."""
    from genir.backbone.load import load

    dtype = model.dtype
    if offloaded and dtype == "auto" and device.type != "cpu":
        described = model_about(model)
        dtype = "float16" if described is None else FAMILIES[described.family].half
    return load(
        model.id,
        revision=model.revision,
        variant=model.variant,
        dtype=dtype,
        vae=model.vae,
        scheduler=model.scheduler and {"name": model.scheduler.name, **model.scheduler.options()},
        loras=_loras(model),
        config=model.config,
        device="cpu" if offloaded else device,
        attention="auto" if offloaded else model.attention,
        chunks=model.chunks,
    )


def sampling(config: Generate) -> Settings:
    """How every image of a run is made."""
    from genir.backbone.guidance import Guidance
    from genir.backbone.hires import Hires
    from genir.backbone.sdxl import Micro
    from genir.sample import Settings

    hires, post = config.hires, config.post
    return Settings(
        config.steps,
        Guidance(**config.guidance.model_dump()),
        Micro(**config.micro.model_dump()),
        config.negative,
        config.offload_text_encoders,
        hires and Hires(hires.enlarged, hires.upscaler, hires.strength, hires.steps or config.steps, hires.tile),
        post.downscale if post else 1.0,
        post.kernel if post else "lanczos",
        config.crop,
    )


def make_fast(backbone: Backbone, config: Generate, device: torch.device, size: tuple[int, int]) -> list[str]:
    """Switch on the speed options that work here, tried on two steps of a batch of `size`; their names."""
    from genir.backbone import speed

    settings = sampling(config)

    def two_steps() -> None:
        side = backbone.encode_empty(config.batch)
        backbone.generate(
            side,
            side,
            empty=side,
            size_HW=size,
            seeds=range(config.batch),
            steps=2,
            guidance=settings.guidance,
            micro=settings.micro,
        )

    return speed.use(backbone, speed.Speed(**config.speed.model_dump()), device, config.model.attention, two_steps)


def load_tokenizers(model: Model) -> Tokenizers:
    """Of the model, as it reads prompts; raises ModelError."""
    from genir.backbone import tokenizers

    return tokenizers.load(
        model.id, revision=model.revision, variant=model.variant, config=model.config, chunks=model.chunks
    )


def load_dual(name: str) -> DualPrompt:
    """The learned pair of a file, or one that travels with genir (`embedded`, `embedded-output`); raises ModelError."""
    from genir import dualprompt

    return dualprompt.load(embedded.dual_files().get(name, name))


def build_gates(wanted: Gates, device: torch.device) -> list[Gate]:
    """What measures; the scores are computed in float64, which of the accelerators only CUDA has."""
    from genir.gate import measures as gate

    gates = []
    if wanted.face is not None:
        gates.append(gate.face_gate(wanted.face.scales, wanted.face.long_side, device))
    if wanted.signal is not None:
        gates.append(gate.signal_gate(wanted.signal.short_side))
    if wanted.fault is not None:
        gates.append(gate.fault_gate())
    own = [name for name in wanted.quality if not name.startswith(PYIQA)]
    if own:
        gates.append(gate.quality_gate(own))
    if wanted.classifier is not None:
        gates.append(gate.classifier_gate(_named(wanted.classifier.file, "gates.classifier.file"), device))
    if wanted.hash:
        gates.append(gate.hash_gate())
    return gates + _costly_gates(wanted, device)


def _costly_gates(wanted: Gates, device: torch.device) -> list[Gate]:
    """In the order of their checks."""
    from genir.gate import models

    gates = []
    if wanted.person is not None:
        model = _named(wanted.person.model, "gates.person.model")
        gates.append(models.person_gate(model, wanted.person.label, device))
    if wanted.nsfw is not None:
        gates.append(models.nsfw_gate())
    if wanted.text is not None:
        gates.append(models.text_gate())
    for name, bound in wanted.quality.items():
        if name.startswith(PYIQA):
            gates.append(models.pyiqa_gate(name, bound.min is not None, bound.max is not None, device))
    if wanted.clip is not None:
        gates.append(models.clip_gate(_named(wanted.clip.model, "gates.clip.model"), device))
    if wanted.judge is not None:
        gates.append(_judge(wanted.judge, device))
    return gates


def _judge(wanted: JudgeGate, device: torch.device) -> Gate:
    from genir.gate.vlm import judge_gate

    if wanted.chat is None:
        raise ConfigError("gates.judge.chat is not set: only stored scores can be selected without it")
    try:
        instruction = locate(wanted.instruction).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"gates.judge.instruction {wanted.instruction}: cannot be read: {error}") from None
    return judge_gate(chat_model(wanted.chat, lambda: device), wanted.chat.model, instruction, wanted.chat.tries)


def _named(place: str | None, key: str) -> str:
    if place is None:
        raise ConfigError(f"{key} is not set: only stored scores can be selected without it")
    return place


def chat_model(wanted: ChatConfig, device: Callable[[], torch.device]) -> ChatModel:
    """A server, or without a url a model of transformers on the device; raises ConfigError, ModelError."""
    if wanted.url is None:
        from genir.chat.local import LocalModel

        hub.find(wanted.model, files.chooser("chat", wanted.model), what="chat model")
        return LocalModel(wanted.model, device(), wanted.max_tokens)
    from genir.chat.server import Server

    return Server(
        wanted.url,
        wanted.model,
        wanted.key,
        timeout=wanted.timeout,
        parallel=wanted.parallel,
        max_tokens=wanted.max_tokens,
        temperature=wanted.temperature,
    )


def gate_device(device: torch.device) -> torch.device:
    """Where the gates of a model on `device` run."""
    import torch

    return device if device.type == "cuda" else torch.device("cpu")


def _loras(model: Model) -> list[dict[str, Any]]:
    return [lora.model_dump() for lora in model.loras]
