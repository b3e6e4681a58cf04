"""How a model's training made noisy latents of clean ones: variance-preserving diffusion or flow matching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from genir.errors import ModelError


@dataclass(frozen=True)
class VariancePreserving:
    """x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise (Ho et al. 2020, equation 4)."""

    kept_T: Tensor
    """a_t of every timestep, float32."""
    prediction: str
    """What the model answers: epsilon, v_prediction or sample."""

    def told(self, timesteps_N: Tensor) -> Tensor:
        """The time that the denoiser is told."""
        return timesteps_N

    def noisy(self, clean_NCHW: Tensor, noise_NCHW: Tensor, timesteps_N: Tensor) -> Tensor:
        """Latents at the timesteps."""
        a_N111 = self._kept(timesteps_N, clean_NCHW)
        return a_N111.sqrt() * clean_NCHW + (1 - a_N111).sqrt() * noise_NCHW

    def target(self, clean_NCHW: Tensor, noise_NCHW: Tensor, timesteps_N: Tensor) -> Tensor:
        """The right answer: noise, velocity (Salimans and Ho 2022, section 4) or clean latents."""
        if self.prediction == "epsilon":
            return noise_NCHW
        if self.prediction == "sample":
            return clean_NCHW
        a_N111 = self._kept(timesteps_N, clean_NCHW)
        return a_N111.sqrt() * noise_NCHW - (1 - a_N111).sqrt() * clean_NCHW

    def clean(self, noisy_NCHW: Tensor, answer_NCHW: Tensor, t: int) -> Tensor:
        """The clean latents that an answer at timestep `t` means (Song et al. 2021, equation 12)."""
        kept = self.kept_T[t].item()
        if self.prediction == "epsilon":
            return (noisy_NCHW - (1 - kept) ** 0.5 * answer_NCHW) / kept**0.5
        if self.prediction == "v_prediction":
            return kept**0.5 * noisy_NCHW - (1 - kept) ** 0.5 * answer_NCHW
        return answer_NCHW

    def step(self, noisy_NCHW: Tensor, clean_NCHW: Tensor, t: int, t_next: int) -> Tensor:
        """Latents at `t_next` of a deterministic DDIM step from `t` (Song et al. 2021, equation 12 with eta 0)."""
        kept, kept_next = self.kept_T[t].item(), self.kept_T[t_next].item()
        noise_NCHW = (noisy_NCHW - kept**0.5 * clean_NCHW) / (1 - kept) ** 0.5
        return kept_next**0.5 * clean_NCHW + (1 - kept_next) ** 0.5 * noise_NCHW

    def _kept(self, timesteps_N: Tensor, like_NCHW: Tensor) -> Tensor:
        return self.kept_T.to(like_NCHW)[timesteps_N].reshape(-1, 1, 1, 1)


@dataclass(frozen=True)
class FlowMatching:
    """x_t = (1 - s_t) x_0 + s_t noise; the model answers noise - x_0 (Lipman et al. 2023; Esser et al. 2024,
    section 2).
    """

    sigmas_T: Tensor
    """s_t of every timestep, float32, rising; with the shift of the sampler's config, without the one that depends on
    the size, as diffusers' training scripts have it."""

    def told(self, timesteps_N: Tensor) -> Tensor:
        """The time that the denoiser is told: s_t times the number of timesteps."""
        return self.sigmas_T.to(timesteps_N.device)[timesteps_N] * len(self.sigmas_T)

    def noisy(self, clean_NCHW: Tensor, noise_NCHW: Tensor, timesteps_N: Tensor) -> Tensor:
        """Latents at the timesteps."""
        s_N111 = self.sigmas_T.to(clean_NCHW)[timesteps_N].reshape(-1, 1, 1, 1)
        return (1 - s_N111) * clean_NCHW + s_N111 * noise_NCHW

    def target(self, clean_NCHW: Tensor, noise_NCHW: Tensor, timesteps_N: Tensor) -> Tensor:
        """The right answer."""
        return noise_NCHW - clean_NCHW

    def clean(self, noisy_NCHW: Tensor, answer_NCHW: Tensor, t: int) -> Tensor:
        """The clean latents that an answer at timestep `t` means."""
        return noisy_NCHW - self.sigmas_T[t].item() * answer_NCHW

    def step(self, noisy_NCHW: Tensor, clean_NCHW: Tensor, t: int, t_next: int) -> Tensor:
        """Latents at `t_next` of an Euler step from `t`."""
        share = self.sigmas_T[t_next].item() / self.sigmas_T[t].item()
        return share * noisy_NCHW + (1 - share) * clean_NCHW


Forward = VariancePreserving | FlowMatching


def forward_process(scheduler: Any) -> Forward:
    """The forward process that a sampler's config speaks of; raises ModelError for a model without one.

    Samplers such as Euler add noise in their own parametrisation, so noise is never added by a sampler.
    """
    from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler

    config = scheduler.config
    if is_flow(scheduler):
        shift = config.get("shift", config.get("flow_shift", 1.0))
        flow: Any = FlowMatchEulerDiscreteScheduler(num_train_timesteps=config.num_train_timesteps, shift=shift)
        return FlowMatching(flow.sigmas.flip(0))
    kind = config.get("prediction_type")
    if kind not in ("epsilon", "v_prediction", "sample") or "beta_schedule" not in config:
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
        "rescale_betas_zero_snr",
    )
    options = {name: config[name] for name in names if name in config}
    plain: Any = DDPMScheduler.from_config(options)
    return VariancePreserving(plain.alphas_cumprod, kind)


def is_flow(scheduler: Any) -> bool:
    """Is it of a flow matching model?"""
    flow = bool(scheduler.config.get("use_flow_sigmas")) or scheduler.config.get("prediction_type") == "flow_prediction"
    return flow or type(scheduler).__name__.startswith("FlowMatch")
