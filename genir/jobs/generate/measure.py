"""A few batches of one size, made, judged and saved as a run does it, with a clock on every part."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import ranks
from genir.backbone.families import FAMILIES
from genir.jobs.generate.launch import Launch
from genir.runs.build import sampling
from genir.runs.claims import Claims
from genir.runs.saver import Saver
from genir.runs.summary import summarise
from genir.runs.tally import Tally

if TYPE_CHECKING:
    import torch

    from genir.backbone.model import Backbone
    from genir.config.generate import Generate

BATCHES = 3
STAGES = ("encode", "denoise", "decode", "gate", "save")
BESIDE = ("gate", "save")
"""Go on beside the others, on another thread."""


@dataclass(frozen=True)
class Measured:
    """One batch size; seconds are those of an image."""

    batch: int
    seconds: dict[str, float]
    """By stage."""
    seconds_per_step: float
    """Of a whole batch."""
    peak_bytes: int
    """On an accelerator what the model and its work took of it; on a CPU the memory of the process."""
    image_bytes: float
    """Of a stored image, with its share of the table; 0 where none was kept."""

    @property
    def making(self) -> float:
        """Seconds of an image in which the device is at work."""
        return sum(seconds for stage, seconds in self.seconds.items() if stage not in BESIDE)

    @property
    def seconds_per_image(self) -> float:
        """In a long run: what takes longer, making, or judging and saving beside it."""
        return max(self.making, sum(self.seconds[stage] for stage in BESIDE))

    @property
    def efficiency(self) -> float:
        """1: the device never waits for gates and files."""
        return self.making / self.seconds_per_image

    @property
    def shares(self) -> dict[str, float]:
        """Of the work of all stages."""
        return {stage: seconds / sum(self.seconds.values()) for stage, seconds in self.seconds.items()}


def measure(
    config: Generate, size: tuple[int, int], batch: int, root: Path, backbone: Backbone, device: torch.device
) -> Measured | None:
    """Make `BATCHES` batches in a run directory `root`; None where they do not fit into memory.

    Raises GenirError for what `generate` would refuse.
    """
    images = BATCHES * batch
    changed: dict[str, Any] = {"run": str(root), "batch": batch, "shard_size": images, "limit": images, "size": (size,)}
    changed |= {"replicas": config.replicas * images, "weights": {}, "target": type(config.target)()}
    launch = Launch(config.model_copy(update=changed), ranks.Worker())
    launch.check()
    _warm_up(launch, backbone, size)
    _reset_peak(device)
    clock, fits = _Clock(device), True
    # a pipeline's own call encodes and decodes as well
    loop = "sample_latents" if FAMILIES[backbone.family].tuned else "generate"
    run = launch.open()
    stage, tally = launch.stage(run, backbone, lambda: False), Tally()
    (claimed,) = Claims(run, images, None, lambda: False)
    with (
        clock.around(backbone, "encode_positive", "encode"),
        clock.around(backbone, loop, "denoise"),
        clock.saving(claimed.writer),
        Saver(clock.judging(stage.judge), launch.packing(), tally) as saver,
    ):
        for samples in tally.timed_making(stage.make(claimed.batches)):
            fits = fits and all(sample.batch_executed is None for sample in samples)
            saver.add(claimed.writer, samples)
            if not fits:
                break
        saver.end(claimed.writer, claimed.covered if fits else None)
    if not fits:
        return None
    clock.seconds["decode"] = tally.making - clock.seconds["encode"] - clock.seconds["denoise"]
    summary, steps = summarise(root), config.steps
    if config.hires is not None:
        steps += int(config.hires.strength * (config.hires.steps or config.steps))
    return Measured(
        batch,
        {stage: clock.seconds[stage] / images for stage in STAGES},
        clock.seconds["denoise"] / (BATCHES * steps),
        _peak(device),
        summary.image_bytes / summary.kept if summary.kept else 0.0,
    )


class _Clock:
    """Seconds by stage."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self._device, self._judged = device, 0.0

    @contextlib.contextmanager
    def around(self, object: Any, method: str, stage: str) -> Iterator[None]:
        """Count what `object.method` takes, with the work that it leaves to the device."""
        whole = getattr(object, method)

        def timed(*arguments: Any, **named: Any) -> Any:
            begin = self._now()
            try:
                return whole(*arguments, **named)
            finally:
                self.seconds[stage] += self._now() - begin

        setattr(object, method, timed)
        try:
            yield
        finally:
            delattr(object, method)  # the class has the method

    def judging(self, judge: Callable[[list[Any]], None]) -> Callable[[list[Any]], None]:
        """`judge`, counted; what follows on its thread until a batch is written is saving."""

        def timed(samples: list[Any]) -> None:
            begin = time.monotonic()
            judge(samples)
            self._judged = time.monotonic()
            self.seconds["gate"] += self._judged - begin

        return timed

    @contextlib.contextmanager
    def saving(self, writer: Any) -> Iterator[None]:
        """Count from the end of judging to the end of writing."""
        whole = writer.add

        def timed(*arguments: Any) -> None:
            whole(*arguments)
            self.seconds["save"] += time.monotonic() - self._judged

        writer.add = timed
        try:
            yield
        finally:
            del writer.add

    def _now(self) -> float:
        if self._device.type == "cuda":
            import torch

            torch.cuda.synchronize(self._device)
        return time.monotonic()


def _warm_up(launch: Launch, backbone: Backbone, size: tuple[int, int]) -> None:
    """A batch of two steps: kernels are chosen and compiled."""
    config, settings = launch.config, sampling(launch.config)
    side = backbone.encode_empty(config.batch)
    with contextlib.suppress(RuntimeError):  # out of memory: seen again when it is measured
        backbone.generate(
            side,
            side,
            empty=side,
            size_HW=size,
            seeds=range(config.batch),
            steps=2,
            guidance=settings.guidance,
            micro=settings.micro,
        )


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak begins anew


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def room(device: torch.device) -> int | None:
    """Bytes that are free; None on an accelerator, which refuses in an orderly way."""
    if device.type != "cpu":
        return None
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024
    return None
