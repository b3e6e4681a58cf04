"""Configuration -> parts: text-to-image models, gates, models that are asked (nothing is loaded at import)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genir import embedded
from genir.backbone import files

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from genir.backbone.model import Backbone
    from genir.backbone.tokenizers import Tokenizers
    from genir.chat.ask import Model as ChatModel
    from genir.config.generate import Gates
    from genir.config.shared import ChatConfig, Model
    from genir.dualprompt import DualPrompt
    from genir.gate import Gate


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


def load_backbone(model: Model, device: torch.device) -> Backbone:
    """Load the model, without a dual prompt; raises ModelError."""
    from genir.backbone.load import load

    return load(
        model.id,
        revision=model.revision,
        variant=model.variant,
        dtype=model.dtype,
        vae=model.vae,
        scheduler=model.scheduler and {"name": model.scheduler.name, **model.scheduler.options()},
        loras=_loras(model),
        config=model.config,
        device=device,
        attention=model.attention,
        chunks=model.chunks,
    )


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
