"""The learned pair of prompts, positive and negative, and the file it travels in.

One safetensors file: tensors `positive.<key>`, `negative.<key>` and `lora.<name>`, all float32, and one
metadata entry `genir_dual_prompt` with a JSON header (mode, templates, model, family, step, config, branch of
the LoRA).

Modes:
- "tokens": M new vectors in the input of every text encoder, as in textual inversion (Gal et al. 2023,
  section 4) and GenIR (Ai et al. 2024, section 3.2); keys `clip_l` and, for SDXL, `clip_g`, each (M, D).
- "output": M vectors in the text encoders' output, after ReNeg (Li et al. 2025); keys `embeds` (M, D) and,
  where the family has a pooled text vector, an optional `pooled` (P,) that is added to it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import safetensors
import torch
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from genir import storage
from genir.errors import ModelError
from genir.records import NEGATIVE_TEMPLATE, POSITIVE_TEMPLATE, Branch

Mode = Literal["tokens", "output"]

ENCODERS = {
    "sd": ("clip_l",),
    "sdxl": ("clip_l", "clip_g"),
    "pixart_alpha": ("t5",),
    "pixart_sigma": ("t5",),
    "sana": ("gemma",),
    "sd3": ("clip_l", "clip_g", "t5"),
    "flux": ("clip_l", "t5"),
}
"""Family -> keys of its text encoders in tokens mode; Stable Diffusion 3 may lack its T5."""

POOLED = ("sdxl", "sd3", "flux")
"""Families that are told a pooled text vector."""

_HEADER = "genir_dual_prompt"
_VERSION = 1


@dataclass(frozen=True)
class DualPrompt:
    """A learned positive and negative prompt; `check` says what is allowed."""

    mode: Mode
    positive: dict[str, Tensor]
    negative: dict[str, Tensor]
    model_id: str
    family: str
    template_positive: str = POSITIVE_TEMPLATE
    template_negative: str = NEGATIVE_TEMPLATE
    model_hash: str = ""
    """SHA-256 over the model's weights (`backbone.files.model_hash`); "" = not known."""
    step: int = 0
    config: dict[str, Any] = field(default_factory=dict)
    """How it was learned; JSON values only."""
    lora: dict[str, Tensor] = field(default_factory=dict)
    """Diffusers/PEFT names (`unet....lora_A.weight`) -> weights at alpha = rank (scale 1)."""
    lora_branch: Branch = "both"
    """The pass that the LoRA acts on: the one that is told the positive prompt, the negative one, or both."""
    sha256: str = ""
    """Of the file it was loaded from; "" = not from a file."""

    def tokens(self, side: Literal["positive", "negative"]) -> int:
        """Number of learned vectors of a side."""
        vectors = self.positive if side == "positive" else self.negative
        return next(tensor.shape[0] for name, tensor in vectors.items() if name != "pooled")


def save(dual: DualPrompt, path: str | Path) -> str:
    """Write a checked dual prompt, whole or not at all; returns the file's SHA-256.

    Raises ModelError for a pair that `check` refuses or a path that cannot be written.
    """
    target = Path(path)
    check(dual, str(target))
    tensors = {f"positive.{name}": tensor for name, tensor in dual.positive.items()}
    tensors |= {f"negative.{name}": tensor for name, tensor in dual.negative.items()}
    tensors |= {f"lora.{name}": tensor for name, tensor in dual.lora.items()}
    stored = {k: v.detach().to("cpu", torch.float32).contiguous().clone() for k, v in sorted(tensors.items())}
    header = {"version": _VERSION} | {name: getattr(dual, name) for name in _HEADER_TYPES}
    try:
        text = json.dumps(header, sort_keys=True)
    except TypeError as error:
        raise ModelError(f"dual prompt {target}: config holds a value that JSON cannot store: {error}") from error
    content = tensor_bytes(stored, metadata={_HEADER: text})
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        storage.write(target, content)
    except OSError as error:
        raise ModelError(f"dual prompt {target}: cannot be written: {error}") from error
    return hashlib.sha256(content).hexdigest()


def load(path: str | Path) -> DualPrompt:
    """Read and check a dual prompt file.

    Raises ModelError for a file that is missing, damaged, something else, or refused by `check`.
    """
    source = Path(path)
    try:
        content = source.read_bytes()
    except IsADirectoryError:
        raise ModelError(f"dual prompt {source}: a folder; name the file in it (such as dual.safetensors)") from None
    except OSError as error:
        raise ModelError(f"dual prompt {source}: cannot be read: {error.strerror or error}") from error
    try:
        tensors = parse_tensors(content)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"dual prompt {source}: damaged or not a safetensors file ({error})") from error
    sides: dict[str, dict[str, Tensor]] = {"positive": {}, "negative": {}, "lora": {}}
    header = _header(content, source)
    for name, tensor in tensors.items():
        side, _, key = name.partition(".")
        if side not in sides:
            raise ModelError(f"dual prompt {source}: unknown tensor {name}; allowed: positive.*, negative.*, lora.*")
        sides[side][key] = tensor
    dual = DualPrompt(**sides, **header, sha256=hashlib.sha256(content).hexdigest())
    check(dual, str(source))
    return dual


def check(dual: DualPrompt, where: str = "in memory") -> None:
    """Raise ModelError unless keys, shapes, templates and values agree with mode and family."""
    what = f"dual prompt {where}"
    if dual.mode not in get_args(Mode):
        raise ModelError(f"{what}: mode {dual.mode!r}; allowed: {', '.join(get_args(Mode))}")
    if dual.family not in ENCODERS:
        raise ModelError(f"{what}: family {dual.family!r}; allowed: {', '.join(ENCODERS)}")
    if dual.lora_branch not in get_args(Branch):
        raise ModelError(f"{what}: lora_branch {dual.lora_branch!r}; allowed: {', '.join(get_args(Branch))}")
    for side, vectors in (("positive", dual.positive), ("negative", dual.negative)):
        _check_keys(dual, vectors, f"{what}: {side}")
        _check_shapes(vectors, f"{what}: {side}")
    for name, tensor in dual.positive.items():
        other = dual.negative.get(name, tensor)
        if tensor.shape[-1] != other.shape[-1]:
            widths = f"{tensor.shape[-1]} wide on the positive, {other.shape[-1]} on the negative side"
            raise ModelError(f"{what}: {name} is {widths}; they must be equal")
    if dual.mode == "output" and dual.tokens("positive") != dual.tokens("negative"):
        counts = f"{dual.tokens('positive')} positive, {dual.tokens('negative')} negative"
        raise ModelError(f"{what}: {counts} vectors; output mode needs equal numbers")
    for part, tensors in (("positive", dual.positive), ("negative", dual.negative), ("lora", dual.lora)):
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise ModelError(f"{what}: {part} {name} holds NaN or infinity; take an earlier checkpoint")
    if dual.lora_branch != "both" and not all(name.startswith("unet.") for name in dual.lora):
        raise ModelError(
            f"{what}: its LoRA acts on the {dual.lora_branch} pass alone, so only of unet may it have layers"
        )
    for template in (dual.template_positive, dual.template_negative):
        if template.count("{tokens}") != 1 or template.count("{caption}") > 1:
            needs = "{tokens} exactly once and {caption} at most once"
            raise ModelError(f"{what}: template {template!r} needs {needs}")


def check_model(dual: DualPrompt, id: str, family: str, model_hash: str) -> None:
    """Raise ModelError for a pair that was learned on another model; equal hashes allow another id."""
    what = f"dual prompt {dual.sha256[:12] or 'in memory'}"
    if dual.family != family:
        raise ModelError(f"{what}: learned on family {dual.family}, but model {id} is {family}")
    if dual.model_hash and model_hash:
        if dual.model_hash != model_hash:
            hashes = f"{dual.model_hash[:12]}, but this {id} has {model_hash[:12]}"
            raise ModelError(f"{what}: learned on {dual.model_id} with weights {hashes}: load that model or variant")
    elif dual.model_id != id:
        raise ModelError(f"{what}: learned on model {dual.model_id}, not on {id}: load that model")


def _check_keys(dual: DualPrompt, vectors: dict[str, Tensor], what: str) -> None:
    needed = set(ENCODERS[dual.family]) if dual.mode == "tokens" else {"embeds"}
    optional = {"pooled"} if dual.mode == "output" and dual.family in POOLED else set()
    if dual.mode == "tokens" and dual.family == "sd3":
        needed, optional = needed - {"t5"}, {"t5"}
    if not needed <= set(vectors) <= needed | optional:
        raise ModelError(
            f"{what} has {', '.join(sorted(vectors)) or 'no vectors'}; "
            f"{dual.mode} mode of family {dual.family} needs {', '.join(sorted(needed))}"
        )


def _check_shapes(vectors: dict[str, Tensor], what: str) -> None:
    counts = set()
    for name, tensor in vectors.items():
        dims = 1 if name == "pooled" else 2
        if tensor.ndim != dims or 0 in tensor.shape or not tensor.is_floating_point():
            shape = tuple(tensor.shape)
            raise ModelError(f"{what} {name} is {tensor.dtype} of shape {shape}; needed: floats of {dims} dimension(s)")
        if dims == 2:
            counts.add(tensor.shape[0])
    if len(counts) > 1:
        raise ModelError(f"{what} has {sorted(counts)} vectors for its text encoders; the numbers must be equal")


_HEADER_TYPES: dict[str, type] = {
    "mode": str,
    "family": str,
    "model_id": str,
    "model_hash": str,
    "template_positive": str,
    "template_negative": str,
    "step": int,
    "config": dict,
    "lora_branch": str,
}


def _header(content: bytes, source: Path) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    if _HEADER not in metadata:
        raise ModelError(
            f"dual prompt {source}: a safetensors file, but not a dual prompt (no {_HEADER} header); "
            "LoRAs belong in model.loras"
        )
    try:
        header = json.loads(metadata[_HEADER])
        version = header.pop("version")
        header.setdefault("lora_branch", "both")  # files of the first days do not say it
    except (ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"dual prompt {source}: damaged header ({error!r})") from error
    if version != _VERSION:
        raise ModelError(f"dual prompt {source}: format version {version!r}; this genir reads {_VERSION}: update genir")
    wrong = [name for name, kind in _HEADER_TYPES.items() if not isinstance(header.get(name), kind)]
    if wrong or set(header) != set(_HEADER_TYPES):
        names = wrong or sorted(set(header) - set(_HEADER_TYPES))
        raise ModelError(
            f"dual prompt {source}: damaged header: {', '.join(names)} missing, unknown or of a wrong type"
        )
    return header
