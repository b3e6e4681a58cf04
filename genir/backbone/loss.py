"""What learning needs of a diffusion model: its denoising loss, and the clean latents that it predicts."""

from __future__ import annotations

import torch
from torch import Tensor

from genir.backbone.forward import Forward
from genir.backbone.guidance import DenoiserInput, Predict


def denoising_loss(
    predict: Predict,
    process: Forward,
    latents_NCHW: Tensor,
    noise_NCHW: Tensor,
    timesteps_N: Tensor,
    inputs: DenoiserInput,
) -> Tensor:
    """Mean squared error (N,), float32, between the model's answer and its target at the given timesteps.

    Raises what `predict` raises; `process` comes from `forward.forward_process`.
    """
    noisy_NCHW = process.noisy(latents_NCHW, noise_NCHW, timesteps_N)
    target_NCHW = process.target(latents_NCHW, noise_NCHW, timesteps_N)
    answer_NCHW = predict(noisy_NCHW.to(inputs.embeds_NLD.dtype), process.told(timesteps_N), inputs)
    return (answer_NCHW.float() - target_NCHW.float()).square().mean(dim=(1, 2, 3))


def guided_clean(
    predict: Predict,
    process: Forward,
    noisy_NCHW: Tensor,
    t: int,
    negative: DenoiserInput,
    positive: DenoiserInput,
    scale: float,
) -> Tensor:
    """Clean latents (N, C, H, W), float32, that a guided step (Ho and Salimans 2022) predicts at timestep `t`."""
    doubled_NCHW = torch.cat([noisy_NCHW, noisy_NCHW]).to(positive.embeds_NLD.dtype)
    told = process.told(torch.tensor(t, device=noisy_NCHW.device))
    away_NCHW, toward_NCHW = predict(doubled_NCHW, told, negative.then(positive)).float().chunk(2)
    return process.clean(noisy_NCHW, away_NCHW + scale * (toward_NCHW - away_NCHW), t)
