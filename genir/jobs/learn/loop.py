"""Optimiser steps whose result does not depend on how many processes share the forward passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from genir.errors import ModelError

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import Tensor

    from genir.config.learn import Learn
    from genir.jobs.learn.learned import Learned
    from genir.jobs.learn.objectives import Objective


class Loop:
    """AdamW on the learned parameters; the gradient of a step is the mean over its `accumulation` forward passes.

    The passes are numbered over the whole run and dealt out to the processes; gradients are summed once a step. There
    are few parameters, so this costs less than DistributedDataParallel's hooks, and needs no wrapped model.
    """

    def __init__(
        self, config: Learn, accelerator: Accelerator, learned: Learned, objectives: Sequence[Objective]
    ) -> None:
        self._config, self._accelerator, self._learned = config, accelerator, learned
        self._objectives = objectives
        groups: list[dict[str, Any]] = [{"params": learned.vectors, "weight_decay": 0.0}]
        self._rates = [config.learning_rate.vectors]
        if learned.lora:
            groups.append({"params": learned.lora, "weight_decay": config.weight_decay})
            self._rates.append(config.learning_rate.lora)
        self.optimizer = accelerator.prepare(torch.optim.AdamW(groups, lr=config.learning_rate.vectors))

    def step(self, step: int, stop: bool) -> tuple[dict[str, float], bool]:
        """Do step `step` (from 0): (losses and norms for the log, was any process asked to stop).

        Raises ModelError for a loss or gradient that is not finite; the parameters are then as before the step.
        """
        config, accelerator, parameters = self._config, self._accelerator, self._learned.parameters
        sums = torch.zeros(len(self._objectives) + 1, device=accelerator.device)
        sums[-1] = float(stop)
        for turn in range(accelerator.process_index, config.accumulation, accelerator.num_processes):
            for place, objective in enumerate(self._objectives):
                loss = objective.loss(step * config.accumulation + turn) / config.accumulation
                accelerator.backward(objective.weight * loss)
                sums[place] += loss.detach().float()
        if accelerator.num_processes > 1:
            self._share_gradients()
            sums = self._sum(sums)
        facts = {o.name: value for o, value in zip(self._objectives, sums.tolist(), strict=False)}
        self._check(facts, step)
        facts["gradient"] = float(accelerator.clip_grad_norm_(parameters, config.clip) or 0.0)
        if accelerator.scaler is None:  # with one, an overflow skips the step and lowers the scale
            self._check({"gradient": facts["gradient"]}, step)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * self._schedule(step)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._learned.clamp()
        facts["rate"] = self.optimizer.param_groups[0]["lr"]
        return facts, bool(sums[-1])

    def _share_gradients(self) -> None:
        parameters = self._learned.parameters
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = self._sum(torch.cat([gradient.flatten() for gradient in gradients]))
        for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            parameter.grad = part.view_as(parameter).clone()

    def _sum(self, tensor: Tensor) -> Tensor:
        """Over all processes."""
        total = self._accelerator.reduce(tensor, "sum")
        assert isinstance(total, torch.Tensor)
        return total

    def _schedule(self, step: int) -> float:
        config = self._config
        if step < config.warmup:
            return (step + 1) / (config.warmup + 1)
        if config.schedule == "constant":
            return 1.0
        progress = (step - config.warmup) / max(1, config.steps - config.warmup)
        return 0.5 * (1 + math.cos(math.pi * progress))

    def _check(self, facts: dict[str, float], step: int) -> None:
        for name, value in facts.items():
            if not math.isfinite(value):
                run = self._config.run
                raise ModelError(
                    f"{run}: step {step + 1}: {name} is {value}; the last checkpoint is kept. Begin a new run from it "
                    "(run=... --from CHECKPOINT) with a lower learning_rate, or with model.dtype=bfloat16 or float32"
                )
