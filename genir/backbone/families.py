"""The model families that genir knows, by the pipeline class of their model_index.json (no torch, no diffusers)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from genir import embedded
from genir.errors import ConfigError

Job = Literal["learn", "prepare"]

_CLIP = ("CLIPTextModel",)
_CLIP_PROJECTED = ("CLIPTextModelWithProjection",)
_CLIP_TOKENIZER = ("CLIPTokenizer", "CLIPTokenizerFast")
_T5 = ("T5EncoderModel",)
_T5_TOKENIZER = ("T5Tokenizer", "T5TokenizerFast")
_GEMMA_TOKENIZER = ("GemmaTokenizer", "GemmaTokenizerFast")
_QWEN_TOKENIZER = ("Qwen2Tokenizer", "Qwen2TokenizerFast")
_KL = ("AutoencoderKL", "AutoencoderTiny")


@dataclass(frozen=True)
class Family:
    """What a model of a family consists of."""

    pipeline: str
    """Class of diffusers."""
    components: Mapping[str, tuple[str, ...]]
    """Component -> class names that may stand in model_index.json (empty: any); the denoiser comes first."""
    optional: tuple[str, ...] = ()
    """Components that a model may lack."""
    half: Literal["float16", "bfloat16"] = "bfloat16"
    """What `dtype: auto` is off the CPU: float16 where the models were published in it."""
    tuned: bool = True
    """genir's own denoising loop; else the pipeline's call, which only generates."""

    @property
    def denoiser(self) -> str:
        """`unet` or `transformer`."""
        return next(iter(self.components))


_PIXART = {
    "transformer": ("PixArtTransformer2DModel", "Transformer2DModel"),
    "vae": _KL,
    "text_encoder": _T5,
    "tokenizer": _T5_TOKENIZER,
    "scheduler": (),
}

FAMILIES: dict[str, Family] = {
    "sd": Family(
        "StableDiffusionPipeline",
        {
            "unet": ("UNet2DConditionModel",),
            "vae": (*_KL, embedded.AUTOENCODER),
            "text_encoder": _CLIP,
            "tokenizer": _CLIP_TOKENIZER,
            "scheduler": (),
        },
        half="float16",
    ),
    "sdxl": Family(
        "StableDiffusionXLPipeline",
        {
            "unet": ("UNet2DConditionModel",),
            "vae": (*_KL, embedded.AUTOENCODER),
            "text_encoder": _CLIP,
            "text_encoder_2": _CLIP_PROJECTED,
            "tokenizer": _CLIP_TOKENIZER,
            "tokenizer_2": _CLIP_TOKENIZER,
            "scheduler": (),
        },
        half="float16",
    ),
    "pixart_alpha": Family("PixArtAlphaPipeline", _PIXART, half="float16"),
    "pixart_sigma": Family("PixArtSigmaPipeline", _PIXART, half="float16"),
    "sana": Family(
        "SanaPipeline",
        {
            "transformer": ("SanaTransformer2DModel",),
            "vae": ("AutoencoderDC",),
            "text_encoder": ("Gemma2Model",),
            "tokenizer": _GEMMA_TOKENIZER,
            "scheduler": (),
        },
    ),
    "sd3": Family(
        "StableDiffusion3Pipeline",
        {
            "transformer": ("SD3Transformer2DModel",),
            "vae": _KL,
            "text_encoder": _CLIP_PROJECTED,
            "text_encoder_2": _CLIP_PROJECTED,
            "text_encoder_3": _T5,
            "tokenizer": _CLIP_TOKENIZER,
            "tokenizer_2": _CLIP_TOKENIZER,
            "tokenizer_3": _T5_TOKENIZER,
            "scheduler": (),
        },
        optional=("text_encoder_3", "tokenizer_3"),
    ),
    "flux": Family(
        "FluxPipeline",
        {
            "transformer": ("FluxTransformer2DModel",),
            "vae": _KL,
            "text_encoder": _CLIP,
            "text_encoder_2": _T5,
            "tokenizer": _CLIP_TOKENIZER,
            "tokenizer_2": _T5_TOKENIZER,
            "scheduler": (),
        },
    ),
    "lumina2": Family(
        "Lumina2Pipeline",
        {
            "transformer": ("Lumina2Transformer2DModel",),
            "vae": _KL,
            "text_encoder": ("Gemma2Model",),
            "tokenizer": _GEMMA_TOKENIZER,
            "scheduler": (),
        },
        tuned=False,
    ),
    "cogview4": Family(
        "CogView4Pipeline",
        {
            "transformer": ("CogView4Transformer2DModel",),
            "vae": _KL,
            "text_encoder": ("GlmModel",),
            "tokenizer": (),
            "scheduler": (),
        },
        tuned=False,
    ),
    "qwenimage": Family(
        "QwenImagePipeline",
        {
            "transformer": ("QwenImageTransformer2DModel",),
            "vae": ("AutoencoderKLQwenImage",),
            "text_encoder": ("Qwen2_5_VLForConditionalGeneration",),
            "tokenizer": _QWEN_TOKENIZER,
            "scheduler": (),
        },
        tuned=False,
    ),
    "zimage": Family(
        "ZImagePipeline",
        {
            "transformer": ("ZImageTransformer2DModel",),
            "vae": _KL,
            "text_encoder": ("Qwen3Model", "Qwen3ForCausalLM"),
            "tokenizer": _QWEN_TOKENIZER,
            "scheduler": (),
        },
        tuned=False,
    ),
}
"""Family -> what it consists of."""

BY_PIPELINE = {family.pipeline: name for name, family in FAMILIES.items()}
"""Pipeline class of model_index.json -> family."""

AUTOENCODERS = tuple(dict.fromkeys(name for family in FAMILIES.values() for name in family.components["vae"]))
"""Every class of autoencoder."""


def components(index: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Components of the model that a checked model_index.json describes; optional ones only where it has them."""
    family = FAMILIES[BY_PIPELINE[index["_class_name"]]]
    there = {name for name in family.components if (index.get(name) or [None, None])[1] is not None}
    return {name: allowed for name, allowed in family.components.items() if name in there}


def check_can(name: str, job: Job, id: str) -> None:
    """Raise ConfigError for a family that only generates."""
    if not FAMILIES[name].tuned:
        able = ", ".join(other for other, family in FAMILIES.items() if family.tuned)
        raise ConfigError(
            f"model {id}: family {name} only generates, genir {job} cannot use it; families it can: {able}"
        )
