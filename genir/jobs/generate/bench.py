"""`genir bench`: how fast a configuration runs on this device, by batch size, and what its whole plan would take."""

from __future__ import annotations

import logging
import math
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import ranks
from genir.jobs.generate.launch import Launch, device_name
from genir.jobs.generate.measure import BATCHES, STAGES, Measured, measure, room
from genir.runs.summary import human_bytes

if TYPE_CHECKING:
    import torch

    from genir.config.generate import Generate

log = logging.getLogger("genir")

ENOUGH = 1.03
"""A larger batch must be faster by this."""


@dataclass(frozen=True)
class Bench:
    """What was measured, and what follows for the plan."""

    device: str
    model: str
    size: tuple[int, int]
    steps: int
    tasks: int
    measured: list[Measured]
    ended: str
    """Why no larger batch was tried."""
    fallback_bytes: int
    """Expected of a stored image, where none was kept."""

    @property
    def best(self) -> Measured:
        """The smallest batch that is about as fast as any."""
        fastest = min(one.seconds_per_image for one in self.measured)
        return next(one for one in self.measured if one.seconds_per_image <= fastest * ENOUGH)

    def facts(self) -> dict[str, Any]:
        """For programs."""
        best = self.best
        rows = [
            {
                **asdict(one),
                "images_per_second": 1 / one.seconds_per_image,
                "efficiency": one.efficiency,
                "shares": one.shares,
            }
            for one in self.measured
        ]
        own = {"device": self.device, "model": self.model, "size": list(self.size), "steps": self.steps}
        return {
            **own,
            "measured": rows,
            "ended": self.ended,
            "batch": best.batch,
            "tasks": self.tasks,
            "device_hours": self.tasks * best.seconds_per_image / 3600,
            "bytes": round(self.tasks * (best.image_bytes or self.fallback_bytes)),
        }

    def lines(self) -> list[str]:
        """For a person."""
        best, told = self.best, self.facts()
        head = f"{'batch':>5} {'images/s':>9} {'s/step':>8} {'memory':>8} " + " ".join(f"{s:>8}" for s in STAGES)
        rows = [
            f"{one.batch:>5} {1 / one.seconds_per_image:>9.3f} {one.seconds_per_step:>8.3f} "
            f"{human_bytes(one.peak_bytes):>8} "
            + " ".join(f"{one.shares[stage]:>8.1%}" for stage in STAGES)
            + f" {one.efficiency:>10.3f}"
            + ("  <" if one is best else "")
            for one in self.measured
        ]
        return [
            f"{self.model} on {self.device}, {self.size[0]}x{self.size[1]}, {self.steps} steps",
            f"{head} efficiency",
            *rows,
            f"no larger batch: {self.ended}",
            f"put into the config: batch: {best.batch}",
            f"the plan: {self.tasks} images, {told['device_hours']:.1f} hours of one such device, "
            f"{human_bytes(told['bytes'])} if all are kept",
            f"{BATCHES} batches of each size, start-up not counted; gate and save go on beside the model and cost time "
            "where efficiency is below 1",
        ]


def bench(config: Generate) -> Bench:
    """Make a few batches of 1, 2, 4, 8, ... images as `generate` does, in a folder that is removed again.

    Of several sizes the largest is measured. Raises GenirError for what `generate` would refuse, or when not one image
    fits.
    """
    asked = Launch(config.model_copy(update={"batch": 1}), ranks.worker())
    asked.check()
    tasks = asked.plan.n_tasks if config.limit is None else min(config.limit, asked.plan.n_tasks)
    size, device, backbone = max(asked.sizes, key=math.prod), asked.device, asked.backbone()
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix=".genir-bench-", dir=asked.existing_folder()) as folder:
        ended = ""
        while not ended:
            batch = 2 ** len(measured)
            log.info("batches of %d", batch)
            one = measure(config, size, batch, Path(folder) / str(batch), backbone, device)
            if one is None:
                ended = f"{batch} images do not fit into the memory of {device}"
            else:
                measured.append(one)
                ended = _enough(measured, device)
    return Bench(
        device_name(device), config.model.id, size, config.steps, tasks, measured, ended, max(asked.image_bytes())
    )


def _enough(measured: list[Measured], device: torch.device) -> str:
    """Why no larger batch need be tried; empty: one should."""
    *before, last = measured
    if before and last.seconds_per_image * ENOUGH > min(one.seconds_per_image for one in before):
        return f"{last.batch} images together are not {ENOUGH - 1:.0%} faster than fewer"
    free, grown = room(device), last.peak_bytes - (before[-1].peak_bytes if before else 0)
    if before and free is not None and 2 * grown > free:
        return f"{2 * last.batch} images would need about {human_bytes(2 * grown)} more, {human_bytes(free)} are free"
    return ""
