"""Tasks -> samples: encode the prompts of a shard, denoise and decode batch by batch; what fails has no pixels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from genir.backbone import hires
from genir.errors import GenirError, ModelError, Stopped
from genir.halves import in_halves
from genir.images import resized
from genir.records import Conditioning, Prompt, Sample, Task

if TYPE_CHECKING:
    from genir.backbone.guidance import Guidance
    from genir.backbone.hires import Hires
    from genir.backbone.model import Backbone
    from genir.backbone.sdxl import Micro
    from genir.images import Kernel

log = logging.getLogger("genir")


@dataclass(frozen=True)
class Settings:
    """How every image of a run is made."""

    steps: int
    guidance: Guidance
    micro: Micro
    negative: str
    """Negative prompt; follows the learned vectors where a dual prompt is applied."""
    offload_text_encoders: bool = False
    """Text encoders leave the device while the images of a shard are denoised."""
    hires: Hires | None = None
    """The second pass; None: there is none."""
    downscale: float = 1.0
    """Rows and columns are divided by this before the crop."""
    kernel: Kernel = "lanczos"
    """Of this reduction."""
    crop_HW: tuple[int, int] | None = None
    """The middle of every image that is kept; None: all of it."""


def sample(
    batches: Sequence[list[Task]],
    backbone: Backbone,
    settings: Settings,
    should_stop: Callable[[], bool],
) -> Iterator[list[Sample]]:
    """Yield the samples of each batch in the order of its tasks.

    All prompts are encoded first, batch by batch: the encoders see the same batches on every launch. A batch that
    runs out of memory is split, and its samples say so in `batch_executed`; so is a batch in which something else
    fails, until the failing tasks are alone.

    Args:
        batches: tasks of one size a batch: what is left of one shard.
        backbone: the model, with its dual prompt applied.
        settings: steps, guidance and micro-conditioning.
        should_stop: asked before every denoising step.

    Raises:
        Stopped: `should_stop` said yes; the batch in flight is given up.
        ModelError: a task failed, and so did an image without a prompt: the fault lies with the device or the model,
            and nothing of the batch is recorded.
    """
    maker = _Maker(backbone, settings, should_stop)
    encoded = [maker.try_encode(tasks) for tasks in batches]
    if settings.offload_text_encoders:
        backbone.text.offload()
    for tasks, sides in zip(batches, encoded, strict=True):
        samples = maker.make(tasks, sides)
        if samples[-1].error:  # a later success would have cleared the device of suspicion
            maker.check_model(samples[-1])
        yield samples


class _Sides(NamedTuple):
    """What the denoiser is told about N images."""

    positive: Conditioning
    """N rows on the CPU: those of a whole shard are kept."""
    negative: Conditioning
    """One row, the same for every image."""
    empty: Conditioning
    """One row."""


@dataclass(frozen=True)
class _Maker:
    """Makes the batches of one shard."""

    backbone: Backbone
    settings: Settings
    should_stop: Callable[[], bool]

    def try_encode(self, tasks: list[Task]) -> _Sides | None:
        """None where it fails: `make` finds the task at fault."""
        if self.should_stop():
            raise Stopped("asked to stop before the first denoising step")
        try:
            return self._encode(tasks)
        except (GenirError, torch.AcceleratorError):
            raise
        except Exception:  # noqa: BLE001 - seen again, and told, when the batch is made
            return None

    def make(self, tasks: list[Task], sides: _Sides | None) -> list[Sample]:
        """Make a planned batch, in parts where that fails."""

        def work(part: Sequence[int]) -> list[Sample]:
            rows = slice(part[0], part[-1] + 1)
            own = sides._replace(positive=sides.positive.rows(rows)) if sides else self._encode(tasks[rows])
            samples = self._denoise(tasks[rows], own)
            if len(part) < len(tasks):
                for made in samples:
                    made.batch_executed = len(part)
            return samples

        def failed(index: int, message: str) -> Sample:
            log.warning("task %s failed: %s", tasks[index].key, message)
            return Sample(tasks[index], None, error=message)

        return in_halves(range(len(tasks)), work, failed)

    def check_model(self, failed: Sample) -> None:
        """Make an image of that size without a prompt: a model that cannot is no task's fault."""
        log.info("trying an image without a prompt, to see whether the device is at fault")
        probe = Task(failed.task.key, Prompt(""), 0, failed.task.height, failed.task.width)
        made = self.make([probe], None)[0]
        if made.error:
            raise ModelError(
                f"task {failed.task.key} failed with {failed.error}, an image without a prompt with {made.error}; the "
                "device or the model is at fault, not the prompt: mend it and run the same command again"
            )

    @cached_property
    def _shared(self) -> tuple[Conditioning, Conditioning]:
        """Negative and empty side of one image."""
        return self.backbone.encode_negative(self.settings.negative, 1), self.backbone.encode_empty(1)

    def _encode(self, tasks: list[Task]) -> _Sides:
        positive = self.backbone.encode_positive([task.prompt.text for task in tasks])
        return _Sides(positive.to("cpu"), *self._shared)

    def _denoise(self, tasks: list[Task], sides: _Sides) -> list[Sample]:
        settings, count = self.settings, len(tasks)
        make = self.backbone.generate
        if settings.hires is not None:
            make = partial(hires.generate, self.backbone, settings.hires)
        pixels_NCHW, nonfinite = make(
            sides.positive.to(self.backbone.device),
            sides.negative.repeated(count),
            empty=sides.empty.repeated(count),
            size_HW=(tasks[0].height, tasks[0].width),
            seeds=[task.seed for task in tasks],
            steps=settings.steps,
            guidance=settings.guidance,
            micro=settings.micro,
            should_stop=self.should_stop,
        )
        return [
            Sample(task, _stored(pixels_CHW, settings), nonfinite=bad, truncated=truncated)
            for task, pixels_CHW, bad, truncated in zip(
                tasks, pixels_NCHW.numpy(), nonfinite, sides.positive.truncated, strict=True
            )
        ]


def _stored(pixels_CHW: np.ndarray, settings: Settings) -> np.ndarray:
    """Reduced, then cropped: `crop_HW` is the size that is stored, and lies away from the borders of the reduction."""
    if settings.downscale != 1:
        rows, columns = (round(side / settings.downscale) for side in pixels_CHW.shape[1:])
        pixels_CHW = resized(pixels_CHW, (rows, columns), settings.kernel)
    return _middle(pixels_CHW, settings.crop_HW)


def _middle(pixels_CHW: np.ndarray, crop_HW: tuple[int, int] | None) -> np.ndarray:
    if crop_HW is None:
        return pixels_CHW
    top, left = (pixels_CHW.shape[1] - crop_HW[0]) // 2, (pixels_CHW.shape[2] - crop_HW[1]) // 2
    return np.ascontiguousarray(pixels_CHW[:, top : top + crop_HW[0], left : left + crop_HW[1]])
