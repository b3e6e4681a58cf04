"""A differentiable reward of what the guided model would make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from genir.backbone.model import Backbone
    from genir.objective.batch import Examples
    from genir.objective.classifier import Classifier


class Reward:
    """Guidance inside training, gradients through the last step only.

    From pure noise, DDIM steps with both prompts lead to a step of the last third; its one-step prediction of the
    clean latents is judged, and the judgement's gradient reaches the vectors through that step (ReNeg, Li et al. 2025,
    section 4; it learns the negative side, with HPSv2 as reward). Here both sides learn, and the reward is a classifier
    of positives and negatives: its log-probability, which has nothing to gain once a picture is clearly a positive. No
    measure of sharpness: that pays for noise.
    """

    def __init__(self, backbone: Backbone, classifier: Classifier, scale: float, steps: int):
        """`scale` is that of guidance, `steps` the number of DDIM steps from noise to picture."""
        self._backbone, self._classifier, self._scale = backbone, classifier, scale
        total = backbone.num_train_timesteps
        self._timesteps = [total * (steps - step) // steps - 1 for step in range(steps)]

    @property
    def stops(self) -> int:
        """Number of steps among which the learned one is drawn: the last third."""
        return max(1, len(self._timesteps) // 3)

    def __call__(self, examples: Examples, stop: int) -> Tensor:
        """Mean loss of N pictures made of the examples' noise and captions; 0 <= stop < `stops`, 0 is the last step."""
        backbone, last = self._backbone, len(self._timesteps) - 1 - stop
        latents_NCHW = examples.noise_NCHW
        with torch.no_grad():
            sides = backbone.encode_positive(examples.captions), backbone.encode_negative("", len(examples))
            for t, t_next in zip(self._timesteps[:last], self._timesteps[1 : last + 1], strict=True):
                clean_NCHW = backbone.predict_clean(latents_NCHW, t, *sides, self._scale)
                latents_NCHW = backbone.process.step(latents_NCHW, clean_NCHW, t, t_next)
        sides = backbone.encode_positive(examples.captions), backbone.encode_negative("", len(examples))
        clean_NCHW = backbone.predict_clean(latents_NCHW, self._timesteps[last], *sides, self._scale)
        return -functional.logsigmoid(self._classifier(clean_NCHW)).mean()
