"""LoRAs: read by diffusers and fused into the weights, or beside them (PEFT) to be learned or to act on one side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from genir.errors import ModelError

if TYPE_CHECKING:
    from genir.backbone.guidance import DenoiserInput, Predict

_LOADED = "loaded"  # name of the adapter while PEFT holds it


def fuse(pipeline: Any, source: Path | Mapping[str, Tensor], weight: float = 1.0, *, name: str) -> None:
    """Add `weight` times a LoRA (a .safetensors file or its tensors) to the weights of a pipeline's
    components.

    Raises ModelError when it is damaged or fits no layer of the model.
    """
    with _explained(pipeline, name):
        _load(pipeline, source)
        pipeline.fuse_lora(components=_touched(pipeline), lora_scale=weight, safe_fusing=True)
        pipeline.unload_lora_weights()


def put_beside(pipeline: Any, tensors: Mapping[str, Tensor], *, name: str) -> None:
    """Load a LoRA, frozen, beside the denoiser's weights, where `on_rows` can hold it back; raises as `fuse` does."""
    with _explained(pipeline, name):
        _load(pipeline, tensors)
        pipeline.unet.requires_grad_(False)  # PEFT lets what it loads require gradients


def _load(pipeline: Any, source: Path | Mapping[str, Tensor]) -> None:
    if isinstance(source, Path):
        pipeline.load_lora_weights(source.parent, weight_name=source.name, adapter_name=_LOADED)
    else:
        pipeline.load_lora_weights(dict(source), adapter_name=_LOADED)
    if not any(_LOADED in adapters for adapters in pipeline.get_list_adapters().values()):
        raise ValueError("no layer of it is a layer of this model")


@contextmanager
def _explained(pipeline: Any, name: str) -> Iterator[None]:
    if not hasattr(pipeline, "load_lora_weights"):
        raise ModelError(f"lora {name}: diffusers' {type(pipeline).__name__} takes no LoRA; leave it out")
    try:
        yield
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


def on_rows(predict: Predict, denoiser: Any) -> Predict:
    """`predict`, in which the LoRA beside the weights acts on the images of `DenoiserInput.tuned_N` alone.

    Both passes of guidance stay one batch: what the LoRA adds is multiplied by 1 or 0, an image each.
    """
    tuned_N: Tensor | None = None

    def held_back(module: nn.Module, args: tuple[Tensor, ...], added: Tensor) -> Tensor:
        assert tuned_N is not None
        return added * tuned_N.to(added).reshape(-1, *[1] * (added.ndim - 1))

    for name, module in denoiser.named_modules():
        if name.rpartition(".")[0].endswith(".lora_B"):
            module.register_forward_hook(held_back)

    def predicted(latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        nonlocal tuned_N
        tuned_N = inputs.tuned_N
        return predict(latents_NCHW, t, inputs)

    return predicted


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
