"""LoRAs: read by diffusers, fused into the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from genir.errors import ModelError


def fuse(pipeline: Any, source: Path | Mapping[str, Tensor], weight: float, name: str) -> None:
    """Add `weight` times a LoRA (a .safetensors file or its tensors) to the weights of a pipeline's
    components.

    Raises ModelError when it is damaged or fits no layer of the model.
    """
    try:
        if isinstance(source, Path):
            pipeline.load_lora_weights(source.parent, weight_name=source.name, adapter_name="fused")
        else:
            pipeline.load_lora_weights(dict(source), adapter_name="fused")
        if not any("fused" in adapters for adapters in pipeline.get_list_adapters().values()):
            raise ValueError("no layer of it is a layer of this model")
        pipeline.fuse_lora(components=_touched(pipeline), lora_scale=weight, safe_fusing=True)
        pipeline.unload_lora_weights()
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, IndexError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"lora {name}: cannot be used with this model: {first}") from error


def _touched(pipeline: Any) -> list[str]:
    return [name for name, adapters in pipeline.get_list_adapters().items() if adapters]
