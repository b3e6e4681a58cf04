"""A tiny Stable Diffusion pipeline as one checkpoint in the original (LDM) layout.

The inverse of diffusers' key mapping.
"""

from __future__ import annotations

import re

from diffusers import StableDiffusionPipeline
from torch import Tensor

State = dict[str, Tensor]

UNET_TOP = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def checkpoint(pipeline: StableDiffusionPipeline) -> State:
    state: State = {}
    levels = len(pipeline.vae.config.block_out_channels)
    for name, tensor in pipeline.unet.state_dict().items():
        state[f"model.diffusion_model.{_unet(name, pipeline.unet.config.layers_per_block)}"] = tensor
    for name, tensor in pipeline.vae.state_dict().items():
        found = _vae(name, levels)
        is_projection = ".attn_1." in found and tensor.ndim == 2
        state[f"first_stage_model.{found}"] = tensor[:, :, None, None] if is_projection else tensor
    for name, tensor in pipeline.text_encoder.state_dict().items():
        state[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    return {name: tensor.contiguous() for name, tensor in state.items()}


def _unet(name: str, layers: int) -> str:
    for ours, theirs in UNET_TOP.items():
        if name.startswith(f"{ours}."):
            return name.replace(ours, theirs)
    kind, *rest = name.split(".")
    if kind == "mid_block":
        part, number, inner = rest[0], int(rest[1]), ".".join(rest[2:])
        return f"middle_block.{2 * number}.{_resnet(inner)}" if part == "resnets" else f"middle_block.1.{inner}"
    block, part, number, inner = int(rest[0]), rest[1], int(rest[2]), ".".join(rest[3:])
    if kind == "down_blocks":
        place = 1 + block * (layers + 1) + number
        if part == "downsamplers":
            return f"input_blocks.{1 + block * (layers + 1) + layers}.0.{inner.replace('conv', 'op')}"
        return f"input_blocks.{place}.0.{_resnet(inner)}" if part == "resnets" else f"input_blocks.{place}.1.{inner}"
    place = block * (layers + 1) + number
    if part == "upsamplers":
        return f"output_blocks.{block * (layers + 1) + layers}.1.{inner}"
    return f"output_blocks.{place}.0.{_resnet(inner)}" if part == "resnets" else f"output_blocks.{place}.1.{inner}"


def _resnet(inner: str) -> str:
    part, _, leaf = inner.rpartition(".")
    return f"{UNET_RESNET[part]}.{leaf}"


def _vae(name: str, levels: int) -> str:
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d+)\.resnets", lambda m: f"up.{levels - 1 - int(m[1])}.block", name)
    name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    if "mid_block.attentions.0." in name:
        head, inner = name.split("mid_block.attentions.0.")
        part, _, leaf = inner.rpartition(".")
        return f"{head}mid.attn_1.{VAE_ATTENTION[part]}.{leaf}"
    return name
