"""Classifier-free guidance (CFG): the one denoising loop over a diffusers scheduler."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from genir.backbone.quiet import quiet
from genir.errors import ConfigError, Stopped


@dataclass(frozen=True)
class Guidance:
    """When and how strongly the negative prompt pushes away (Ho and Salimans 2022, equation 6).

    Step i of n (from 0) is guided where start <= i/n < end (guidance interval, Kynkäänniemi et al. 2024);
    a scale of 1 or less means no guidance, as in diffusers. Where i/n < delay the negative side is the plain empty
    prompt (delayed negatives, Ban et al. 2024). `rescale` brings the deviation of the guided answer back to that of
    the positive one, by this share (Lin et al. 2023, section 3.4): high scales without overexposure.

    A model distilled with guidance (Meng et al. 2023) is told `scale` and makes one pass; `true_cfg` above 1 guides
    it by a negative pass as well. Raises ConfigError for values out of range.
    """

    scale: float
    start: float = 0.0
    end: float = 1.0
    delay: float = 0.0
    rescale: float = 0.0
    true_cfg: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise ConfigError(f"guidance.scale is {self.scale}; allowed: 0 or more (1 = no guidance)")
        if not 0 <= self.start <= self.end <= 1:
            raise ConfigError(f"guidance.start..end is {self.start}..{self.end}; allowed: 0 <= start <= end <= 1")
        if not 0 <= self.delay <= 1:
            raise ConfigError(f"guidance.delay is {self.delay}; allowed: 0 .. 1")
        if not 0 <= self.rescale <= 1:
            raise ConfigError(f"guidance.rescale is {self.rescale}; allowed: 0 .. 1 (0.7 is the paper's)")
        if self.true_cfg is not None and not (math.isfinite(self.true_cfg) and self.true_cfg >= 0):
            raise ConfigError(f"guidance.true_cfg is {self.true_cfg}; allowed: 0 or more (1 = no negative pass)")

    def of_passes(self, is_told_scale: bool) -> Guidance:
        """The guidance of the loop, for a model that is told the scale or not; raises ConfigError for a `true_cfg`
        that has no meaning.
        """
        if is_told_scale:
            return replace(self, scale=1.0 if self.true_cfg is None else self.true_cfg, true_cfg=None)
        if self.true_cfg is not None:
            raise ConfigError(
                f"guidance.true_cfg is {self.true_cfg}: only for models that are told the scale (FLUX.1-dev, LCM); "
                "this one is not: set guidance.scale and true_cfg=null"
            )
        return self

    def check_scale_alone(self, family: str) -> None:
        """Raise ConfigError for more than a scale, for a family that runs in its pipeline's own call."""
        if self != Guidance(self.scale):
            raise ConfigError(
                f"guidance: family {family} runs in its pipeline's own call, which knows scale alone; leave out "
                "start, end, delay, rescale and true_cfg"
            )

    def active(self, step: int, steps: int) -> bool:
        """Does this step need a negative pass?"""
        return self.scale > 1.0 and self.start <= step / steps < self.end

    def delayed(self, step: int, steps: int) -> bool:
        """Is the negative side still the plain empty prompt?"""
        return step / steps < self.delay


@dataclass(frozen=True)
class Start:
    """Begin from an image instead of from noise alone (SDEdit, Meng et al. 2022, section 3).

    The latents are noised to where the last `strength` (0..1) of the steps begin, and only these steps run; the
    fractions of `Guidance` still count from the first step of the whole schedule.
    """

    latents_NCHW: Tensor
    """Clean, as `Backbone.encode_images` gives them."""
    strength: float

    def first(self, steps: int) -> int:
        """How many of `steps` are skipped; raises ConfigError when none would be left."""
        if not 0 < self.strength <= 1 or int(steps * self.strength) < 1:
            need = "more steps or strength" if 0 < self.strength <= 1 else "above 0, at most 1"
            raise ConfigError(
                f"SDEdit strength is {self.strength} with {steps} steps: no step is left; allowed: {need}"
            )
        return steps - int(steps * self.strength)


@dataclass(frozen=True)
class DenoiserInput:
    """Everything a denoiser is told about N images beside the noisy latents."""

    embeds_NLD: Tensor
    pooled_NP: Tensor | None = None
    time_ids_N6: Tensor | None = None
    mask_NL: Tensor | None = None
    """1 for tokens, 0 for padding; of families that mask."""
    scale_N: Tensor | None = None
    """Guidance scale, for models that are told it."""
    tuned_N: Tensor | None = None
    """1 where the LoRA of a dual prompt acts, else 0; None: it acts on every image alike."""

    def then(self, other: DenoiserInput) -> DenoiserInput:
        """This batch followed by another one."""
        return DenoiserInput(
            torch.cat([self.embeds_NLD, other.embeds_NLD]),
            _cat(self.pooled_NP, other.pooled_NP),
            _cat(self.time_ids_N6, other.time_ids_N6),
            _cat(self.mask_NL, other.mask_NL),
            _cat(self.scale_N, other.scale_N),
            _cat(self.tuned_N, other.tuned_N),
        )


class Predict(Protocol):
    """A denoiser."""

    def __call__(self, latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        """Scaled noisy latents, timestep, conditioning -> the model's raw output, shaped as the latents."""
        ...


def noise_like(shape_CHW: tuple[int, int, int], generators: Sequence[torch.Generator], device: Any) -> Tensor:
    """Standard normal noise (N, C, H, W), float32, each image from its own CPU generator."""
    return torch.stack([torch.randn(shape_CHW, generator=generator) for generator in generators]).to(device)


def denoise(
    predict: Predict,
    scheduler: Any,
    shape_CHW: tuple[int, int, int],
    positive: DenoiserInput,
    negative: DenoiserInput | None,
    empty: DenoiserInput | None,
    *,
    seeds: Sequence[int],
    steps: int,
    guidance: Guidance,
    should_stop: Callable[[], bool],
    start: Start | None = None,
    timing: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Latents (N, C, H, W) from noise, or from the image latents of `start`.

    `scheduler` is copied from its config, so nothing stays in it; `timing` is what it is told beside the number of
    steps. Latents are of `dtype` between the steps (None: that of the text). Every image has one CPU generator with its
    own seed for the initial noise and for stochastic schedulers, so the noise does not depend on the batch. `negative`
    is needed where a step is guided, `empty` where it is delayed. Both passes are one doubled batch, negative
    first, as in diffusers' pipelines.

    Raises Stopped before a step when `should_stop()` says so; ConfigError when a needed side is missing or
    the scheduler refuses the number of steps.
    """
    device, dtype = positive.embeds_NLD.device, dtype or positive.embeds_NLD.dtype
    scheduler = _fresh(scheduler, steps, device, timing or {})
    total = len(scheduler.timesteps)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    first = 0 if start is None else start.first(steps) * scheduler.order
    noise_NCHW = noise_like(shape_CHW, generators, device).to(dtype)
    latents_NCHW = _begin(scheduler, noise_NCHW, start, first)
    extra = {"generator": generators} if "generator" in inspect.signature(scheduler.step).parameters else {}
    doubled = {name: side.then(positive) for name, side in (("negative", negative), ("empty", empty)) if side}
    for step, t in enumerate(scheduler.timesteps[first:], first):
        if should_stop():
            raise Stopped(f"asked to stop at denoising step {step} of {total}")
        # samplers of flow matching models scale nothing
        scaling = getattr(scheduler, "scale_model_input", None)
        scaled_NCHW = latents_NCHW if scaling is None else scaling(latents_NCHW, t)
        if guidance.active(step, total):
            name = "empty" if guidance.delayed(step, total) else "negative"
            output_NCHW = _guided(predict, scaled_NCHW, t, doubled.get(name), name, guidance)
        else:
            output_NCHW = predict(scaled_NCHW, t, positive)
        latents_NCHW = scheduler.step(output_NCHW, t, latents_NCHW, return_dict=False, **extra)[0].to(dtype)
    return latents_NCHW


def _guided(
    predict: Predict,
    scaled_NCHW: Tensor,
    t: Tensor,
    inputs: DenoiserInput | None,
    name: str,
    guidance: Guidance,
) -> Tensor:
    if inputs is None:
        raise ConfigError(f"guidance.scale {guidance.scale}, delay {guidance.delay}: the {name} prompt is missing")
    output_NCHW = predict(torch.cat([scaled_NCHW, scaled_NCHW]), t, inputs)
    away_NCHW, toward_NCHW = output_NCHW.chunk(2)
    guided_NCHW = away_NCHW + guidance.scale * (toward_NCHW - away_NCHW)
    if guidance.rescale == 0:
        return guided_NCHW
    own, guided = (output.std(dim=(1, 2, 3), keepdim=True) for output in (toward_NCHW, guided_NCHW))
    return guided_NCHW * (guidance.rescale * own / guided + 1 - guidance.rescale)


def _begin(scheduler: Any, noise_NCHW: Tensor, start: Start | None, first: int) -> Tensor:
    if start is None:
        return noise_NCHW * getattr(scheduler, "init_noise_sigma", 1.0)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    latents_NCHW = start.latents_NCHW.to(noise_NCHW)
    t_N = scheduler.timesteps[first].repeat(len(latents_NCHW))
    if hasattr(scheduler, "scale_noise"):
        return scheduler.scale_noise(latents_NCHW, t_N, noise_NCHW)
    return scheduler.add_noise(latents_NCHW, noise_NCHW, t_N)


def _fresh(scheduler: Any, steps: int, device: torch.device, timing: Mapping[str, Any]) -> Any:
    name = type(scheduler).__name__
    try:
        with quiet():
            scheduler = type(scheduler).from_config(scheduler.config)
            scheduler.set_timesteps(steps, device=device, **timing)
    except ValueError as error:
        raise ConfigError(f"steps is {steps}: {name} refuses it: {str(error).splitlines()[0]}") from error
    return scheduler


def _cat(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return None if a is None or b is None else torch.cat([a, b])
