"""Preference of a picture over its own counterpart, without a reward model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from genir.backbone.text import stacked

if TYPE_CHECKING:
    from torch import Tensor, nn

    from genir.backbone.model import Backbone
    from genir.objective.batch import Examples


class Pair:
    """Direct preference optimisation of both prompts on pairs that share noise and timestep.

    The positive prompt must explain the positive better than its negative (Diffusion-DPO, Wallace et al. 2024,
    equation 14), the negative prompt the reverse (Diffusion-NPO, Wang et al. 2025). Both papers tune the denoiser; that
    the learned vectors (and a LoRA beside them) are tuned instead is ours. The reference is the pair as it began.
    """

    def __init__(self, backbone: Backbone, beta: float, learned: Sequence[nn.Parameter], reference: Sequence[Tensor]):
        """Take the reference.

        Args:
            backbone: the model with the pair that is learned.
            beta: weight of staying near the reference; the papers' 2000..5000 and 500 multiply the same mean error.
            learned: the vectors.
            reference: their values before any step.
        """
        self._backbone, self._beta = backbone, beta
        self._learned, self._reference = learned, reference

    def __call__(self, positives: Examples, negatives: Examples) -> Tensor:
        """Mean loss of N pairs; `negatives` have the noise, timesteps and captions of `positives`."""
        with self._begun():
            before = self._margins(positives, negatives)
        now = self._margins(positives, negatives)
        gains = [now_N - before_N for now_N, before_N in zip(now, before, strict=True)]
        return -functional.logsigmoid(0.5 * self._beta * torch.cat(gains)).mean()

    def _margins(self, positives: Examples, negatives: Examples) -> list[Tensor]:
        """For each prompt: by how much (N,) it explains its own pictures better than the others."""
        backbone = self._backbone
        told = backbone.encode_positive(positives.captions), backbone.encode_negative("", len(negatives))
        errors = []
        for side in told:
            losses_2N = backbone.loss(
                torch.cat([positives.latents_NCHW, negatives.latents_NCHW]),
                stacked([side, side]),
                noise_NCHW=torch.cat([positives.noise_NCHW, positives.noise_NCHW]),
                timesteps_N=torch.cat([positives.timesteps_N, positives.timesteps_N]),
                micro=positives.micro + negatives.micro,
            )
            errors.append(losses_2N.chunk(2))
        (good_N, bad_N), (good_under_negative_N, bad_under_negative_N) = errors
        return [bad_N - good_N, good_under_negative_N - bad_under_negative_N]

    @contextmanager
    def _begun(self) -> Iterator[None]:
        """The pair as it began, without its LoRA and without gradients."""
        current = [parameter.data for parameter in self._learned]
        tuned = any(parameter.requires_grad for parameter in self._backbone.denoiser.parameters())
        for parameter, begun in zip(self._learned, self._reference, strict=True):
            parameter.data = begun
        if tuned:
            self._backbone.denoiser.disable_adapters()
        try:
            with torch.no_grad():
                yield
        finally:
            for parameter, now in zip(self._learned, current, strict=True):
                parameter.data = now
            if tuned:
                self._backbone.denoiser.enable_adapters()
