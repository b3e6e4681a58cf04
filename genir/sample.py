"""Tasks -> samples: encode the prompts of a batch, denoise, decode; what fails becomes a sample without pixels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from genir.errors import GenirError, ModelError, Stopped
from genir.records import Sample, Task

if TYPE_CHECKING:
    from genir.backbone.guidance import Guidance
    from genir.backbone.model import Backbone
    from genir.backbone.sdxl import Micro

log = logging.getLogger("genir")

# So many tasks failing one after another are not bad tasks but a broken device or model: stop, and record nothing of
# it in this shard.
MAX_FAILURES_IN_A_ROW = 8


@dataclass(frozen=True)
class Settings:
    """How every image of a run is made."""

    steps: int
    guidance: Guidance
    micro: Micro
    negative: str
    """Negative prompt where no dual prompt is applied."""


@dataclass
class Streak:
    """Failures in a row, over the shards of one worker: small shards must not hide a broken device."""

    failures: int = 0


def sample(
    batches: Iterable[list[Task]],
    backbone: Backbone,
    settings: Settings,
    should_stop: Callable[[], bool],
    streak: Streak | None = None,
) -> Iterator[list[Sample]]:
    """Yield the samples of each batch in the order of its tasks.

    A batch that runs out of memory is split, and its samples say so in `batch_executed`; so is a batch in which
    something else fails, until the failing tasks are alone.

    Args:
        batches: tasks of one size a batch.
        backbone: the model, with its dual prompt applied.
        settings: steps, guidance and micro-conditioning.
        should_stop: asked before every denoising step.
        streak: the same one for all shards of a worker.

    Raises:
        Stopped: `should_stop` said yes; the batch in flight is given up.
        ModelError: so many tasks in a row failed that the fault lies with the device or the model.
    """
    streak = streak or Streak()
    held = []  # batches that end in failures wait for a success that clears the device of suspicion
    for tasks in batches:
        samples = _make(tasks, tasks, backbone, settings, should_stop)
        for made in samples:
            streak.failures = streak.failures + 1 if made.error else 0
            if streak.failures >= MAX_FAILURES_IN_A_ROW:
                raise ModelError(
                    f"{streak.failures} images in a row failed, the last with {made.error}; the device or the model "
                    "is at fault, not the prompts: mend it and run the same command again"
                )
        held.append(samples)
        if not streak.failures:
            yield from held
            held = []
    yield from held


def _make(
    tasks: list[Task], batch: list[Task], backbone: Backbone, settings: Settings, should_stop: Callable[[], bool]
) -> list[Sample]:
    """Make `tasks`, a part of the planned `batch`."""
    try:
        samples = _denoise(tasks, backbone, settings, should_stop)
        if len(tasks) < len(batch):
            for made in samples:
                made.batch_executed = len(tasks)
        return samples
    except (GenirError, Stopped, torch.AcceleratorError):
        raise  # a device that faults stays broken: nothing it says about a task can be trusted
    except Exception as error:  # noqa: BLE001 - whatever a task can provoke becomes its row, with its class and text
        message = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    # outside of the handler: there, the error's traceback would keep the tensors of the failed batch in memory
    if len(tasks) == 1:
        log.warning("task %s failed: %s", tasks[0].key, message)
        return [Sample(tasks[0], None, error=message)]
    log.warning("a batch of %d failed, trying halves: %s", len(tasks), message)
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
    half = len(tasks) // 2
    parts = (tasks[:half], tasks[half:])
    return [made for part in parts for made in _make(part, batch, backbone, settings, should_stop)]


def _denoise(
    tasks: list[Task], backbone: Backbone, settings: Settings, should_stop: Callable[[], bool]
) -> list[Sample]:
    positive = backbone.encode_positive([task.prompt.text for task in tasks])
    pixels_NCHW, nonfinite = backbone.generate(
        positive,
        backbone.encode_negative(settings.negative, len(tasks)),
        empty=backbone.encode_empty(len(tasks)),
        size_HW=(tasks[0].height, tasks[0].width),
        seeds=[task.seed for task in tasks],
        steps=settings.steps,
        guidance=settings.guidance,
        micro=settings.micro,
        should_stop=should_stop,
    )
    return [
        Sample(task, pixels_CHW, nonfinite=bad, truncated=truncated)
        for task, pixels_CHW, bad, truncated in zip(
            tasks, pixels_NCHW.numpy(), nonfinite, positive.truncated, strict=True
        )
    ]
