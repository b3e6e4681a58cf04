"""LoRAs: read by diffusers and fused into the weights, or learned beside them (PEFT)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genir.errors import ModelError


def fuse(pipeline: Any, source: Path | Mapping[str, Tensor], weight: float, name: str) -> None:
    """Add `weight` times a LoRA (a .safetensors file or its tensors) to the weights of a pipeline's
    components.

    Raises ModelError when it is damaged or fits no layer of the model.
    """
    if not hasattr(pipeline, "load_lora_weights"):
        raise ModelError(f"lora {name}: diffusers' {type(pipeline).__name__} takes no LoRA; leave it out")
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


def attach(unet: Any, rank: int, targets: Sequence[str], seed: int) -> list[nn.Parameter]:
    """Put a new LoRA (Hu et al. 2022), which changes nothing yet, on the attention projections of `targets`.

    `targets` are attn1 (self-attention) and attn2 (attention to the text); alpha is the rank. Returns its float32
    parameters, the only ones of the denoiser that require gradients.
    """
    from peft import LoraConfig

    pattern = rf".*\.(?:{'|'.join(targets)})\.(?:to_q|to_k|to_v|to_out\.0)"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=pattern))
    learned = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.data = parameter.data.float()
    return learned


def tensors(unet: Any) -> dict[str, Tensor]:
    """The attached LoRA under the names of a dual-prompt file; scale 1."""
    from peft.utils import get_peft_model_state_dict

    return {f"unet.{name}": tensor for name, tensor in get_peft_model_state_dict(unet).items()}


def summed(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One LoRA that does what both do (each at scale 1): their factors side by side, so the ranks add up."""
    both = {}
    for name in first.keys() | second.keys():
        factors = [lora[name].cpu().float() for lora in (first, second) if name in lora]
        both[name] = torch.cat(factors, dim=0 if ".lora_A." in name else 1)
    return both
