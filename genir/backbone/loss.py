"""What learning needs of a diffusion model: its denoising loss, and the clean latents that it predicts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genir.backbone.guidance import DenoiserInput, Predict
from genir.errors import ModelError


def training_scheduler(scheduler: Any) -> Any:
    """The variance-preserving forward process of a sampler's config; raises ModelError for a model without
    one.

    Samplers such as Euler add noise in their own parametrisation, so noise is always added by DDPM's (Ho et
    al. 2020, equation 4).
    """
    from diffusers import DDPMScheduler

    kind = scheduler.config.get("prediction_type")
    if kind not in ("epsilon", "v_prediction", "sample") or "beta_schedule" not in scheduler.config:
        raise ModelError(
            f"scheduler {type(scheduler).__name__} with prediction type {kind}: "
            "the denoising loss needs betas and epsilon, v_prediction or sample"
        )
    names = (
        "num_train_timesteps",
        "beta_start",
        "beta_end",
        "beta_schedule",
        "trained_betas",
        "prediction_type",
    )
    options = {name: scheduler.config[name] for name in (*names, "rescale_betas_zero_snr") if name in scheduler.config}
    return DDPMScheduler.from_config(options)


def denoising_loss(
    predict: Predict,
    training: Any,
    latents_NCHW: Tensor,
    noise_NCHW: Tensor,
    timesteps_N: Tensor,
    inputs: DenoiserInput,
) -> Tensor:
    """Mean squared error (N,), float32, between the model's answer and its target at the given timesteps.

    The target is the noise, the velocity (Salimans and Ho 2022, section 4) or the clean latents, as the
    scheduler's prediction type says. `training` comes from `training_scheduler`.
    """
    noisy_NCHW = training.add_noise(latents_NCHW, noise_NCHW, timesteps_N)
    kind = training.config.prediction_type
    if kind == "epsilon":
        target_NCHW = noise_NCHW
    elif kind == "v_prediction":
        target_NCHW = training.get_velocity(latents_NCHW, noise_NCHW, timesteps_N)
    else:
        target_NCHW = latents_NCHW
    answer_NCHW = predict(noisy_NCHW.to(inputs.embeds_NLD.dtype), timesteps_N, inputs)
    return (answer_NCHW.float() - target_NCHW.float()).square().mean(dim=(1, 2, 3))


def guided_clean(
    predict: Predict,
    training: Any,
    noisy_NCHW: Tensor,
    t: int,
    negative: DenoiserInput,
    positive: DenoiserInput,
    scale: float,
) -> Tensor:
    """Clean latents (N, C, H, W), float32, that a guided step (Ho and Salimans 2022) predicts at timestep `t`.

    The estimate of x0 in Song et al. 2021, equation 12. `training` comes from `training_scheduler`.
    """
    doubled_NCHW = torch.cat([noisy_NCHW, noisy_NCHW]).to(positive.embeds_NLD.dtype)
    timestep = torch.tensor(t, device=noisy_NCHW.device)
    away_NCHW, toward_NCHW = predict(doubled_NCHW, timestep, negative.then(positive)).float().chunk(2)
    answer_NCHW = away_NCHW + scale * (toward_NCHW - away_NCHW)
    kept = training.alphas_cumprod[t].item()
    if training.config.prediction_type == "epsilon":
        return (noisy_NCHW - (1 - kept) ** 0.5 * answer_NCHW) / kept**0.5
    if training.config.prediction_type == "v_prediction":
        return kept**0.5 * noisy_NCHW - (1 - kept) ** 0.5 * answer_NCHW
    return answer_NCHW


def ddim_step(training: Any, noisy_NCHW: Tensor, clean_NCHW: Tensor, t: int, t_next: int) -> Tensor:
    """Latents at `t_next` of a deterministic DDIM step (Song et al. 2021, equation 12 with eta 0) from `t`."""
    kept, kept_next = training.alphas_cumprod[t].item(), training.alphas_cumprod[t_next].item()
    noise_NCHW = (noisy_NCHW - kept**0.5 * clean_NCHW) / (1 - kept) ** 0.5
    return kept_next**0.5 * clean_NCHW + (1 - kept_next) ** 0.5 * noise_NCHW
