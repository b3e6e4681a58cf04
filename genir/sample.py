"""Tasks -> samples: encode the prompts of a batch, denoise, decode; what fails becomes a sample without pixels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from genir.errors import GenirError, ModelError, Stopped
from genir.records import Prompt, Sample, Task

if TYPE_CHECKING:
    from genir.backbone.guidance import Guidance
    from genir.backbone.model import Backbone
    from genir.backbone.sdxl import Micro

log = logging.getLogger("genir")


@dataclass(frozen=True)
class Settings:
    """How every image of a run is made."""

    steps: int
    guidance: Guidance
    micro: Micro
    negative: str
    """Negative prompt where no dual prompt is applied."""


def sample(
    batches: Iterable[list[Task]],
    backbone: Backbone,
    settings: Settings,
    should_stop: Callable[[], bool],
) -> Iterator[list[Sample]]:
    """Yield the samples of each batch in the order of its tasks.

    A batch that runs out of memory is split, and its samples say so in `batch_executed`; so is a batch in which
    something else fails, until the failing tasks are alone.

    Args:
        batches: tasks of one size a batch.
        backbone: the model, with its dual prompt applied.
        settings: steps, guidance and micro-conditioning.
        should_stop: asked before every denoising step.

    Raises:
        Stopped: `should_stop` said yes; the batch in flight is given up.
        ModelError: a task failed, and so did an image without a prompt: the fault lies with the device or the model,
            and nothing of the batch is recorded.
    """
    for tasks in batches:
        samples = _make(tasks, tasks, backbone, settings, should_stop)
        if samples[-1].error:  # a later success would have cleared the device of suspicion
            _check_model(samples[-1], backbone, settings, should_stop)
        yield samples


def _check_model(failed: Sample, backbone: Backbone, settings: Settings, should_stop: Callable[[], bool]) -> None:
    """Make an image of that size without a prompt: a model that cannot is no task's fault."""
    log.info("trying an image without a prompt, to see whether the device is at fault")
    probe = [Task(failed.task.key, Prompt(""), 0, failed.task.height, failed.task.width)]
    made = _make(probe, probe, backbone, settings, should_stop)[0]
    if made.error:
        raise ModelError(
            f"task {failed.task.key} failed with {failed.error}, an image without a prompt with {made.error}; the "
            "device or the model is at fault, not the prompt: mend it and run the same command again"
        )


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
