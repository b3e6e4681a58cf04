"""`genir export-dual`: a learned pair as embedding files that other programs load."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import save as tensor_bytes

from genir import storage
from genir.errors import ConfigError, ModelError
from genir.runs.build import load_dual

if TYPE_CHECKING:
    from torch import Tensor

    from genir.dualprompt import DualPrompt


def export_dual(file: str, folder: str, name: str) -> list[str]:
    """Write the files and say how to use them.

    `<name>_positive` and `<name>_negative` hold all text encoders' vectors, as ComfyUI and A1111 read them (keys
    clip_l and clip_g; the one encoder of Stable Diffusion under the name itself, which diffusers reads too). For SDXL
    in diffusers there is a file of one key for each encoder: it refuses more than one. A LoRA of both sides becomes
    `<name>_lora`; one of a single side has no file.

    Raises:
        ModelError: not a dual prompt, or one in output mode.
        ConfigError: a name that no prompt can hold.
        ShardError: the folder cannot be written.
    """
    dual, root = load_dual(file), Path(folder)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ConfigError(f"name {name!r}: is written in prompts, so letters, digits and _ only, a letter first")
    if dual.mode == "output":
        raise ModelError(
            f"dual prompt {file}: of mode output, whose vectors stand behind the text encoder; other programs read "
            "vectors in front of it only: learn with mode=tokens"
        )
    files = {f"{name}_{side}{suffix}": tensors for side in ("positive", "negative")
             for suffix, tensors in _embeddings(dual, f"{name}_{side}", side).items()}  # fmt: skip
    if dual.lora and dual.lora_branch == "both":
        files[f"{name}_lora"] = dual.lora
    with storage.explained(root):
        root.mkdir(parents=True, exist_ok=True)
        for stem, tensors in files.items():
            storage.write(root / f"{stem}.safetensors", tensor_bytes(tensors))
    return [*(f"{root}/{stem}.safetensors" for stem in files), *_usage(dual, name)]


def _embeddings(dual: DualPrompt, token: str, side: str) -> dict[str, dict[str, Tensor]]:
    """File name suffix -> tensors."""
    vectors = dual.positive if side == "positive" else dual.negative
    if len(vectors) == 1:
        return {"": dict.fromkeys([token], *vectors.values())}
    return {"": dict(vectors), **{f"_{key}": {token: tensor} for key, tensor in vectors.items()}}


def _usage(dual: DualPrompt, name: str) -> list[str]:
    positive = dual.template_positive.replace("{tokens}", f"{name}_positive").replace("{caption}", "YOUR PROMPT")
    negative = dual.template_negative.replace("{tokens}", f"{name}_negative").replace("{caption}", "").strip()
    encoders = {"clip_l": ("text_encoder", "tokenizer"), "clip_g": ("text_encoder_2", "tokenizer_2")}
    lines = []
    for side in ("positive", "negative"):
        for key, (encoder, tokenizer) in encoders.items():
            if key in dual.positive:
                suffix = "" if len(dual.positive) == 1 else f"_{key}"
                parts = f"text_encoder=pipe.{encoder}, tokenizer=pipe.{tokenizer}"
                token = f"{name}_{side}"
                lines.append(f'  pipe.load_textual_inversion("{token}{suffix}.safetensors", token="{token}", {parts})')
    if dual.lora and dual.lora_branch != "both":
        lines.append(
            f"no file    of the LoRA: it acts on the {dual.lora_branch} side alone, which a LoRA file cannot say"
        )
    return [
        f"prompt     {positive}",
        f"negative   {negative}",
        f"ComfyUI    the same with embedding:{name}_positive and embedding:{name}_negative",
        "diffusers",
        *lines,
    ]
