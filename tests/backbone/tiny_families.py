"""Tiny randomly initialised pipelines of the transformer families: real classes, tokenizers trained on the spot."""

from __future__ import annotations

import inspect
import json
from functools import cache
from typing import Any

import diffusers
import tiny
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

INSTRUCTION = inspect.signature(diffusers.SanaPipeline.__call__).parameters["complex_human_instruction"].default
TEXTS = [" ".join(tiny.WORDS), *tiny.WORDS, "A sharp clean image. the red lake!", "professional photo, low quality"]
WIDTH = 32


@cache
def _unigram() -> list[tuple[str, float]]:
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trained.train_from_iterator(
        TEXTS * 4,
        trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False),
    )
    vocab = dict(json.loads(trained.to_str())["model"]["vocab"])
    vocab |= {f"▁{word}": -1.0 for word in tiny.WORDS}  # one token a word, as CLIP's tiny tokenizer has
    return list(vocab.items())


def t5_tokenizer() -> Any:
    return transformers.T5Tokenizer(vocab=_unigram(), extra_ids=0, model_max_length=512)


def t5(width: int = WIDTH) -> Any:
    config = transformers.T5Config(
        vocab_size=len(t5_tokenizer()) + 3, d_model=width, d_kv=8, d_ff=37, num_layers=2, num_heads=4,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip
    return transformers.T5EncoderModel(config).eval()


def clip(projection: int = WIDTH, projected: bool = False) -> tuple[Any, Any]:
    tokens = tiny.tokenizer()
    cls = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    return tokens, cls(tiny.text_config(tokens, projection)).eval()


def vae(shift: float | None = 0.1) -> Any:
    """Reduces each side by 8, as the real ones do."""
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
        shift_factor=shift,
        scaling_factor=0.4,
    ).eval()


def flow(**options: Any) -> Any:
    return diffusers.FlowMatchEulerDiscreteScheduler(**options)


def flux(told_scale: bool = True) -> Any:
    torch.manual_seed(2)
    tokens, encoder = clip()
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, axes_dims_rope=(4, 4, 8), guidance_embeds=told_scale,
    )  # fmt: skip
    dev = {"shift": 3.0, "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}
    return diffusers.FluxPipeline(
        scheduler=flow(**dev) if told_scale else flow(shift=1.0),
        vae=vae(),
        text_encoder=encoder,
        tokenizer=tokens,
        text_encoder_2=t5(),
        tokenizer_2=t5_tokenizer(),
        transformer=transformer.eval(),
    )


def flux_schnell() -> Any:
    return flux(told_scale=False)


def sd3(with_t5: bool = True) -> Any:
    torch.manual_seed(3)
    (tokens, encoder), (tokens_2, encoder_2) = clip(projected=True), clip(40, projected=True)
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
        num_attention_heads=4, joint_attention_dim=80, caption_projection_dim=32, pooled_projection_dim=WIDTH + 40,
        pos_embed_max_size=16,
    )  # fmt: skip
    return diffusers.StableDiffusion3Pipeline(
        scheduler=flow(shift=3.0),
        vae=vae(),
        text_encoder=encoder,
        tokenizer=tokens,
        text_encoder_2=encoder_2,
        tokenizer_2=tokens_2,
        text_encoder_3=t5(80) if with_t5 else None,
        tokenizer_3=t5_tokenizer() if with_t5 else None,
        transformer=transformer.eval(),
    )


def sd3_without_t5() -> Any:
    return sd3(with_t5=False)


def _pixart(pipeline: Any, sample_size: int) -> Any:
    torch.manual_seed(4)
    transformer = diffusers.PixArtTransformer2DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=8, num_layers=2,
        cross_attention_dim=24, sample_size=sample_size, patch_size=2, caption_channels=WIDTH,
        use_additional_conditions=sample_size == 128,
    )  # fmt: skip
    scheduler = diffusers.DPMSolverMultistepScheduler(beta_start=0.0001, beta_end=0.02, beta_schedule="linear")
    return pipeline(
        tokenizer=t5_tokenizer(), text_encoder=t5(), vae=vae(None), transformer=transformer.eval(), scheduler=scheduler
    )


def pixart_alpha() -> Any:
    """With the size conditions of the 1024-pixel model."""
    return _pixart(diffusers.PixArtAlphaPipeline, 128)


def pixart_sigma() -> Any:
    return _pixart(diffusers.PixArtSigmaPipeline, 32)


@cache
def _bpe() -> tuple[dict[str, int], list[Any]]:
    trained = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")  # no merge across words
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trained.train_from_iterator(
        [*TEXTS * 4, *INSTRUCTION], trainers.BpeTrainer(vocab_size=900, special_tokens=special, show_progress=False)
    )
    model = json.loads(trained.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def gemma_tokenizer() -> Any:
    vocab, merges = _bpe()
    return transformers.GemmaTokenizer(
        vocab=dict(vocab), merges=list(merges), add_bos_token=True, model_max_length=2048
    )


def gemma() -> Any:
    config = transformers.Gemma2Config(
        vocab_size=len(gemma_tokenizer()) + 3, hidden_size=WIDTH, intermediate_size=37, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, query_pre_attn_scalar=8,
    )  # fmt: skip
    return transformers.Gemma2Model(config).eval()


def sana() -> Any:
    torch.manual_seed(5)
    transformer = diffusers.SanaTransformer2DModel(
        patch_size=1, in_channels=4, out_channels=4, num_layers=2, num_attention_heads=2, attention_head_dim=8,
        num_cross_attention_heads=2, cross_attention_head_dim=8, cross_attention_dim=16, caption_channels=WIDTH,
        sample_size=32, mlp_ratio=2.0,
    )  # fmt: skip
    small = (8,) * 6
    autoencoder = diffusers.AutoencoderDC(
        in_channels=3, latent_channels=4, attention_head_dim=4,
        encoder_block_types=("ResBlock",) * 4 + ("EfficientViTBlock",) * 2,
        decoder_block_types=("ResBlock",) * 4 + ("EfficientViTBlock",) * 2,
        encoder_block_out_channels=small, decoder_block_out_channels=small,
        encoder_layers_per_block=(1,) * 6, decoder_layers_per_block=(1,) * 6,
        encoder_qkv_multiscales=((),) * 5 + ((5,),), decoder_qkv_multiscales=((),) * 5 + ((5,),),
        upsample_block_type="interpolate", downsample_block_type="stride_conv",
        decoder_norm_types="rms_norm", decoder_act_fns="silu", scaling_factor=0.41407,
    )  # fmt: skip
    scheduler = diffusers.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    return diffusers.SanaPipeline(
        tokenizer=gemma_tokenizer(),
        text_encoder=gemma(),
        vae=autoencoder.eval(),
        transformer=transformer.eval(),
        scheduler=scheduler,
    )


@cache
def _byte_bpe() -> tuple[dict[str, int], list[Any]]:
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.train_from_iterator(
        TEXTS * 4,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"], show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )  # fmt: skip
    model = json.loads(trained.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def qwen_tokenizer() -> Any:
    vocab, merges = _byte_bpe()
    found = transformers.Qwen2Tokenizer(
        vocab=dict(vocab), merges=list(merges), additional_special_tokens=["<|im_start|>", "<|im_end|>"]
    )
    found.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return found


def lumina2() -> Any:
    torch.manual_seed(6)
    transformer = diffusers.Lumina2Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, hidden_size=16, num_layers=2, num_refiner_layers=1,
        num_attention_heads=2, num_kv_heads=1, multiple_of=16, axes_dim_rope=(4, 2, 2), axes_lens=(300, 64, 64),
        cap_feat_dim=WIDTH,
    )  # fmt: skip
    return diffusers.Lumina2Pipeline(
        transformer=transformer.eval(),
        scheduler=flow(shift=6.0),
        vae=vae(),
        text_encoder=gemma(),
        tokenizer=gemma_tokenizer(),
    )


def cogview4() -> Any:
    torch.manual_seed(7)
    transformer = diffusers.CogView4Transformer2DModel(
        patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=4, num_attention_heads=4,
        text_embed_dim=WIDTH, time_embed_dim=8, condition_dim=4, sample_size=8,
    )  # fmt: skip
    tokens = gemma_tokenizer()  # CogView4's own is a plain fast tokenizer too
    config = transformers.GlmConfig(
        vocab_size=len(tokens), hidden_size=WIDTH, intermediate_size=8, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, pad_token_id=0,
    )  # fmt: skip
    return diffusers.CogView4Pipeline(
        tokenizer=tokens,
        text_encoder=transformers.GlmModel(config).eval(),
        vae=vae(),
        transformer=transformer.eval(),
        scheduler=flow(use_dynamic_shifting=True, base_shift=0.25, max_shift=0.75, time_shift_type="linear"),
    )


def qwenimage() -> Any:
    torch.manual_seed(8)
    tokens = qwen_tokenizer()
    transformer = diffusers.QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, axes_dims_rope=(8, 4, 4),
    )  # fmt: skip
    autoencoder = diffusers.AutoencoderKLQwenImage(
        base_dim=8, z_dim=4, dim_mult=[1, 2, 2, 2], num_res_blocks=1, temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    )  # fmt: skip
    text = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "vocab_size": len(tokens),
        "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1e6},
    }  # fmt: skip
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    return diffusers.QwenImagePipeline(
        scheduler=flow(use_dynamic_shifting=True, base_shift=0.5, max_shift=0.9, shift_terminal=0.02),
        vae=autoencoder.eval(),
        text_encoder=transformers.Qwen2_5_VLForConditionalGeneration(config).eval(),
        tokenizer=tokens,
        transformer=transformer.eval(),
    )


def zimage() -> Any:
    torch.manual_seed(9)
    tokens = qwen_tokenizer()
    transformer = diffusers.ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=4, dim=32, n_layers=2, n_refiner_layers=1, n_heads=2,
        n_kv_heads=2, cap_feat_dim=16, axes_dims=[8, 4, 4], axes_lens=[256, 32, 32],
    )  # fmt: skip
    config = transformers.Qwen3Config(
        vocab_size=len(tokens), hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, head_dim=8,
    )  # fmt: skip
    return diffusers.ZImagePipeline(
        scheduler=flow(shift=3.0),
        vae=vae(),
        text_encoder=transformers.Qwen3Model(config).eval(),
        tokenizer=tokens,
        transformer=transformer.eval(),
    )


def _lcm(pipeline: Any) -> Any:
    """The same pipeline with a denoiser that is told the guidance scale, and LCM's sampler."""
    torch.manual_seed(10)
    config = {key: value for key, value in pipeline.unet.config.items() if not key.startswith("_")}
    config["time_cond_proj_dim"] = 16
    pipeline.unet = diffusers.UNet2DConditionModel.from_config(config).eval()
    pipeline.scheduler = diffusers.LCMScheduler.from_config(pipeline.scheduler.config)
    return pipeline


def _small(pipeline: Any) -> Any:
    """With an autoencoder that reduces by 8: fewer latent positions."""
    pipeline.register_modules(vae=vae(None))
    return pipeline


def sd() -> Any:
    return _small(tiny.sd())


def sdxl() -> Any:
    return _small(tiny.sdxl())


def sd_lcm() -> Any:
    return _lcm(sd())


def sdxl_lcm() -> Any:
    return _lcm(sdxl())
