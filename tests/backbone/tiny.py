"""Tiny randomly initialised models of the real classes, built on the spot and saved in diffusers' layout."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

WORDS = [
    "a",
    "photo",
    "of",
    "the",
    "cat",
    "dog",
    "image",
    "sharp",
    "clean",
    "dirty",
    "blurry",
    "red",
    "green",
    "lake",
    "stone",
    "house",
]
LENGTH = 24
WIDTH = 32


def tokenizer(pad: str = "<|endoftext|>") -> CLIPTokenizer:
    letters = list("abcdefghijklmnopqrstuvwxyz.,!")
    vocab = [*letters, *(f"{letter}</w>" for letter in letters)]
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        while len(pieces) > 1:
            pair = (pieces[0], pieces[1])
            merges += [pair] if pair not in merges else []
            pieces = ["".join(pair), *pieces[2:]]
            vocab += [pieces[0]] if pieces[0] not in vocab else []
    vocab += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(vocab)},
        merges=merges,
        pad_token=pad,
        model_max_length=LENGTH,
    )


def text_config(tokens: CLIPTokenizer, projection: int = WIDTH, eos: int | None = 2) -> CLIPTextConfig:
    """The configs of real models say eos_token_id 2, whatever their tokenizer says."""
    return CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=WIDTH,
        intermediate_size=37,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        projection_dim=projection,
        bos_token_id=0,
        eos_token_id=eos,
        pad_token_id=1,
    )


def vae(seed: int = 0) -> AutoencoderKL:
    torch.manual_seed(seed)
    return AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=64,
    ).eval()


def scheduler(prediction_type: str = "epsilon") -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )


def sd(prediction_type: str = "epsilon") -> StableDiffusionPipeline:
    torch.manual_seed(0)
    tokens = tokenizer()
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        sample_size=32,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
        cross_attention_dim=WIDTH,
        norm_num_groups=8,
    )
    return StableDiffusionPipeline(
        vae=vae(),
        text_encoder=CLIPTextModel(text_config(tokens)).eval(),
        tokenizer=tokens,
        unet=unet.eval(),
        scheduler=scheduler(prediction_type),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl(force_zeros: bool = True) -> StableDiffusionXLPipeline:
    torch.manual_seed(1)
    tokens, tokens_2 = tokenizer(), tokenizer(pad="!")
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        sample_size=32,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=6 * 8 + 40,
        cross_attention_dim=2 * WIDTH,
        norm_num_groups=8,
    )
    return StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=CLIPTextModel(text_config(tokens)).eval(),
        text_encoder_2=CLIPTextModelWithProjection(text_config(tokens_2, projection=40)).eval(),
        tokenizer=tokens,
        tokenizer_2=tokens_2,
        unet=unet.eval(),
        scheduler=scheduler(),
        force_zeros_for_empty_prompt=force_zeros,
        add_watermarker=False,
    )


def saved(pipeline: StableDiffusionPipeline | StableDiffusionXLPipeline, folder: Path, **options: str) -> Path:
    pipeline.save_pretrained(folder, **options)
    return folder


def lora(unet: UNet2DConditionModel, seed: int = 5) -> dict[str, torch.Tensor]:
    """A rank-2 LoRA of one attention projection: down, then up."""
    torch.manual_seed(seed)
    rows, columns = unet.mid_block.attentions[0].transformer_blocks[0].attn2.to_k.weight.shape
    name = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    return {
        f"{name}.lora_A.weight": torch.randn(2, columns) * 0.3,
        f"{name}.lora_B.weight": torch.randn(rows, 2),
    }
