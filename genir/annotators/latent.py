"""Lotus and RGB<->X: two models for which diffusers 0.42 has no pipeline, from the parts that it has.

lotus   He et al. 2024 (arXiv 2409.18124): one step of a UNet that predicts the answer's latents. The deterministic
        model (`lotus-depth-d...`, `lotus-normal-d...`), which has four input channels; of the generative one there is
        no support here.
rgb2x   Zeng et al. 2024 (arXiv 2405.00666): DDIM in the answer's latents, the picture's latents beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genir.annotators.label import Predict, View
from genir.annotators.pretrained import half_on, load
from genir.errors import ModelError

_STEP = 999  # of the one step of Lotus
_TASK = (1.0, 0.0)  # Lotus's switch: the annotation, not the picture itself
_SIDE = 1000  # longest side that RGB<->X is shown, as its authors do
_MULTIPLE = 8
_NOISE = 0


class _Parts:
    """UNet, autoencoder and the embedding of one prompt."""

    def __init__(self, path: Path, prompt: str, padded: bool, channels: int, what: str, device: torch.device) -> None:
        from diffusers import AutoencoderKL, UNet2DConditionModel
        from transformers import CLIPTextModel, CLIPTokenizer

        dtype = half_on(device)
        self.unet: Any = load(UNet2DConditionModel, path / "unet", what).to(device, dtype).eval()
        if self.unet.config.in_channels != channels:
            raise ModelError(f"{what}: {path} has {self.unet.config.in_channels} input channels, needed are {channels}")
        self.vae: Any = load(AutoencoderKL, path / "vae", what).to(device, dtype).eval()
        text: Any = load(CLIPTextModel, path / "text_encoder", what).to(device, dtype).eval()
        tokenizer: Any = load(CLIPTokenizer, path / "tokenizer", what)
        length = {"padding": "max_length", "max_length": tokenizer.model_max_length} if padded else {}
        ids = tokenizer(prompt, truncation=True, return_tensors="pt", **length).input_ids
        with torch.inference_mode():
            self.embeds_1LD = text(ids.to(device))[0]
        self.device, self.dtype = device, dtype

    def encoded(self, x_NCHW: Tensor) -> Tensor:
        """-1..1 -> scaled latents, the mean of their distribution."""
        return self.vae.encode(x_NCHW.to(self.device, self.dtype)).latent_dist.mode() * self.vae.config.scaling_factor

    def decoded(self, latents_NCHW: Tensor) -> Tensor:
        """Scaled latents -> float -1..1."""
        return self.vae.decode(latents_NCHW / self.vae.config.scaling_factor, return_dict=False)[0].float()


def lotus(domain: str, path: Path, device: torch.device) -> Predict:
    """Affine depth (H, W) 0..1 or normals -1..1; raises ModelError."""
    parts = _Parts(path, "", False, 4, f"{domain} backend lotus", device)
    task = torch.tensor([_TASK])
    task_14 = torch.cat([task.sin(), task.cos()], 1).to(device, parts.dtype)

    def predict(views: Sequence[View]) -> list[np.ndarray]:
        return [answer(view) for view in views]

    def answer(view: View) -> np.ndarray:
        with torch.inference_mode():
            latents = parts.encoded(_padded(_floats(view)))
            made = parts.unet(latents, _STEP, parts.embeds_1LD, class_labels=task_14, return_dict=False)[0]
            height, width = view.size_HW
            found_CHW = parts.decoded(made)[0, :, :height, :width].clamp(-1, 1).cpu().numpy()
        return (found_CHW.mean(0) + 1) / 2 if domain == "depth" else found_CHW

    return predict


def rgb2x(path: Path, options: Mapping[str, Any], device: torch.device) -> Predict:
    """Albedo as display values; raises ModelError."""
    from diffusers import DDIMScheduler

    what = "albedo backend rgb2x"
    parts = _Parts(path, "Albedo (diffuse basecolor)", True, 8, what, device)
    settings = load(DDIMScheduler, path / "scheduler", what).config
    scheduler: Any = DDIMScheduler.from_config(settings, rescale_betas_zero_snr=True, timestep_spacing="trailing")

    def predict(views: Sequence[View]) -> list[np.ndarray]:
        return [answer(view) for view in views]

    def answer(view: View) -> np.ndarray:
        size = _fitted(view.size_HW)
        linear_NCHW = ((_floats(view) + 1) / 2) ** 2.2  # it was trained on linear light
        shown_NCHW = F.interpolate(linear_NCHW, size, mode="bilinear", antialias=True) * 2 - 1
        with torch.inference_mode():
            picture = parts.encoded(shown_NCHW)
            latents = torch.randn(picture.shape, generator=torch.Generator().manual_seed(_NOISE)).to(picture)
            scheduler.set_timesteps(options["steps"], device=device)
            for step in scheduler.timesteps:
                both = torch.cat([scheduler.scale_model_input(latents, step), picture], 1)
                noise = parts.unet(both, step, parts.embeds_1LD, return_dict=False)[0]
                latents = scheduler.step(noise, step, latents, return_dict=False)[0]
            albedo_NCHW = ((parts.decoded(latents) + 1) / 2).clamp(0, 1) ** (1 / 2.2)
        whole = F.interpolate(albedo_NCHW, view.size_HW, mode="bilinear", antialias=True)
        return whole[0].cpu().numpy()

    return predict


def _floats(view: View) -> Tensor:
    return torch.from_numpy(view.pixels_CHW.astype(np.float32) / 127.5 - 1)[None]


def _padded(x_NCHW: Tensor) -> Tensor:
    height, width = x_NCHW.shape[2:]
    return F.pad(x_NCHW, (0, -width % _MULTIPLE, 0, -height % _MULTIPLE), mode="replicate")


def _fitted(size_HW: tuple[int, int]) -> tuple[int, int]:
    """The longest side as it is shown, both multiples of 8."""
    factor = min(1.0, _SIDE / max(size_HW))
    height, width = (max(_MULTIPLE, int(side * factor) // _MULTIPLE * _MULTIPLE) for side in size_HW)
    return height, width
