"""Speed options of a loaded model: each is used where it works, else the model stays as it was and a line says why."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from genir.backbone import attention, caches
from genir.backbone.quiet import quiet
from genir.backbone.whole import WholePipeline

if TYPE_CHECKING:
    from genir.backbone.model import Backbone

log = logging.getLogger("genir")


@dataclass(frozen=True)
class Speed:
    """What is asked for."""

    channels_last: bool = False
    fuse_projections: bool = False
    step_cache: float | None = None
    """Threshold of the First Block Cache."""
    decoder_tile: int | None = None
    """Pixels of a side."""
    group_offload: bool = False
    compile: bool = False


def use(
    backbone: Backbone,
    wanted: Speed,
    device: torch.device,
    attend: attention.Attention,
    probe: Callable[[], object],
) -> list[str]:
    """Switch on what is wanted and works; the names of what is in use.

    To be called when LoRAs are fused: later changes of the weights would be lost.

    Args:
        backbone: on `device`, or on the CPU where `wanted.group_offload`.
        wanted: the options.
        device: where it computes.
        attend: asked for again where the model was loaded elsewhere.
        probe: makes a batch; tried after compilation, which happens then.
    """
    if wanted.group_offload:
        backbone.attention = attention.use(backbone.denoiser, attend, device)
    # What changes layers comes before offloading, which watches over the layers that it finds
    steps: list[tuple[str, bool, Callable[[], str]]] = [
        ("fuse_projections", wanted.fuse_projections, lambda: _fuse(backbone)),
        ("channels_last", wanted.channels_last, lambda: _channels_last(backbone)),
        ("group_offload", wanted.group_offload, lambda: _group_offload(backbone, device)),
        (
            "step_cache",
            wanted.step_cache is not None,
            lambda: caches.enable(backbone.denoiser, wanted.step_cache or 0.0),
        ),
        ("compile", wanted.compile, lambda: _compile(backbone, probe)),
    ]
    used = []
    if isinstance(backbone.adapter, WholePipeline):
        if wanted.decoder_tile is not None:
            log.warning("speed.decoder_tile is not used: family %s runs in its pipeline's own call", backbone.family)
    else:
        backbone.decoder_tile = wanted.decoder_tile
    for name, asked, switch_on in steps:
        reason = switch_on() if asked else ""
        if reason:
            log.warning("speed.%s is not used: %s", name, reason)
        elif asked:
            used.append(name)
    if used:
        log.info("speed      %s", ", ".join(used))
    return used


def _channels_last(backbone: Backbone) -> str:
    modules = (backbone.denoiser, backbone.vae)
    for module in modules:
        if any(weight.dim() == 5 for weight in module.parameters()):
            return f"{type(module).__name__} has convolutions over time"
    for module in modules:
        module.to(memory_format=torch.channels_last)
    return ""


def _fuse(backbone: Backbone) -> str:
    denoiser = backbone.denoiser
    if not hasattr(denoiser, "fuse_qkv_projections"):
        return f"diffusers has no fused form of {type(denoiser).__name__}"
    if getattr(denoiser, "peft_config", None):
        return "the LoRA of the dual prompt acts on one side alone, beside the weights"
    if backbone.attention == "xformers":
        return "diffusers' fused attention is SDPA, model.attention is xformers"
    try:
        denoiser.fuse_qkv_projections()
    except (ValueError, RuntimeError, AttributeError) as error:
        return _first_line(error)
    return ""


def _group_offload(backbone: Backbone, device: torch.device) -> str:
    """The denoiser waits in main memory, layer by layer, and its next layer comes while the one before computes."""
    if device.type == "cpu":
        return "there is no accelerator to save memory of"
    if isinstance(backbone.adapter, WholePipeline):
        backbone.adapter.pipeline.to(device)
        return f"family {backbone.family} runs in its pipeline's own call"
    beside: list[Any] = [backbone.vae, *(encoder.model for encoder in backbone.text.encoders)]
    for module in beside:
        module.to(device)
    try:
        backbone.denoiser.enable_group_offload(
            onload_device=device, offload_type="leaf_level", use_stream=device.type == "cuda"
        )
    except (ValueError, RuntimeError, AttributeError) as error:
        backbone.denoiser.to(device)
        return _first_line(error)
    return ""


def _compile(backbone: Backbone, probe: Callable[[], object]) -> str:
    """torch.compile of the repeated blocks where diffusers names them, else of the whole denoiser."""
    denoiser = backbone.denoiser
    try:
        if getattr(denoiser, "_repeated_blocks", None):
            denoiser.compile_repeated_blocks()
        else:
            denoiser.compile()
        with quiet():
            probe()
    except Exception as error:  # noqa: BLE001 - a compiler can fail in any way, and the model works without it
        for module in denoiser.modules():
            module._compiled_call_impl = None
        torch._dynamo.reset()
        return _first_line(error)
    return ""


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
