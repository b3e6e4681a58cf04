"""Configuration -> parts: text-to-image models, gates, models that are asked (nothing is loaded at import)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genir.backbone import files, hub

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from genir.backbone.model import Backbone
    from genir.chat.ask import Model as ChatModel
    from genir.config.generate import Gates, Generate
    from genir.config.shared import ChatConfig, Model
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


def model_geometry(model: Model) -> files.Geometry | None:
    """The sizes that the model can make, as far as its configs say; raises ModelError."""
    return files.geometry(model.id, revision=model.revision, variant=model.variant, config=model.config)


def load_backbone(model: Model, device: torch.device, *, offloaded: bool = False) -> Backbone:
    """Load the model, without a dual prompt; `offloaded`: into main memory, for `device`. Raises ModelError."""
    from genir.backbone.load import load

    dtype = model.dtype
    if offloaded and dtype == "auto" and device.type != "cpu":
        dtype = "float16"
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
        backbone.sample_latents(
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


def build_gates(wanted: Gates, device: torch.device) -> list[Gate]:
    """What measures; the scores are computed in float64, which of the accelerators only CUDA has."""
    from genir import gate

    gates = []
    if wanted.face is not None:
        gates.append(gate.face_gate(wanted.face.scales, wanted.face.long_side, device))
    if wanted.signal is not None:
        gates.append(gate.signal_gate())
    if wanted.quality:
        gates.append(gate.quality_gate(list(wanted.quality)))
    if wanted.hash:
        gates.append(gate.hash_gate())
    return gates


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
