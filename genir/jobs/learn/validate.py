"""Fixed prompts, generated and judged with the pair as it is now, and the choice of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import torch
from accelerate.utils import gather_object

from genir import seeds, storage
from genir.backbone.guidance import Guidance
from genir.backbone.sdxl import Micro
from genir.gate import judge
from genir.metrics.features.kernel import kernel_distance
from genir.metrics.features.network import NAME, scene_features
from genir.metrics.features.network import load as load_scene_features
from genir.records import Sample, Task
from genir.runs.build import build_gates, gate_device
from genir.sample import Settings, sample
from genir.sheet import contact_sheet, tile

if TYPE_CHECKING:
    from pathlib import Path

    from accelerate import Accelerator
    from torch import Tensor

    from genir.backbone.model import Backbone
    from genir.config.learn import Learn
    from genir.promptfile import PromptFiles
    from genir.trainset import Picture, Size

SHEET_SIDE = 256
REFERENCES = 256
SMALLEST_SET = 3  # of the kernel distance

Distance = Callable[["Tensor"], float]
"""uint8 images (N, 3, H, W) -> distance to good ones."""


class Row(TypedDict):
    """What one validation found."""

    step: int
    judged: int
    kept: int
    reasons: dict[str, int]
    distance: float | None
    """Kernel distance of the images to the positives, where it is asked for."""


class Validator:
    """Generates the fixed prompts, a batch at a time, shared by all processes."""

    def __init__(
        self,
        config: Learn,
        accelerator: Accelerator,
        backbone: Backbone,
        prompts: PromptFiles,
        size: Size,
        should_stop: Callable[[], bool],
        distance: Distance | None,
    ) -> None:
        self._distance = distance
        self._wanted, self._accelerator, self._backbone = config.validation, accelerator, backbone
        self._should_stop = should_stop if accelerator.num_processes == 1 else lambda: False
        self._gates = build_gates(self._wanted.gates, gate_device(accelerator.device))
        count = min(self._wanted.count, prompts.count)
        self._tasks = []
        for number in range(count):
            place = number * prompts.count // count
            prompt = next(iter(prompts.read(place, place + 1)))
            key = f"{number:09d}"
            self._tasks.append(Task(key, prompt, seeds.derive(config.seed, key, "noise"), *size))

    @torch.no_grad()
    def __call__(self, step: int, grid: Path) -> Row:
        """Judge the pair after `step` steps and draw the pictures; raises Stopped when asked to stop (one process)."""
        wanted, accelerator = self._wanted, self._accelerator
        settings = Settings(wanted.steps, Guidance(**wanted.guidance.model_dump()), Micro(), negative="")
        batches = [self._tasks[n : n + wanted.batch] for n in range(0, len(self._tasks), wanted.batch)]
        own = batches[accelerator.process_index :: accelerator.num_processes]
        device, made_here = gate_device(accelerator.device), []
        for samples in sample(own, self._backbone, settings, self._should_stop):
            judge(samples, self._gates, wanted.gates.checks(), wanted.gates.score_only, device)
            made_here += samples
        everything: list[Sample] = sorted(gather_object(made_here), key=lambda made: made.task.key)
        if accelerator.is_main_process:
            with storage.explained(grid):
                grid.parent.mkdir(exist_ok=True)
                storage.write(grid, contact_sheet([tile(made) for made in everything], side=SHEET_SIDE))
        reasons: dict[str, int] = {}
        for made in everything:
            assert made.verdict is not None
            if made.verdict.verdict != "kept":
                reasons[made.verdict.reason] = reasons.get(made.verdict.reason, 0) + 1
        kept = len(everything) - sum(reasons.values())
        pixels = [made.pixels_CHW for made in everything if made.pixels_CHW is not None]
        enough = len(pixels) >= SMALLEST_SET
        distance = self._distance(torch.from_numpy(np.stack(pixels))) if self._distance and enough else None
        return Row(step=step, judged=len(everything), kept=kept, reasons=reasons, distance=distance)


def distance_to(pictures: Sequence[Picture], device: torch.device) -> Distance:
    """Images -> kernel distance of their scene features to those of up to REFERENCES pictures, evenly spread."""
    model = load_scene_features().to(device)
    count = min(REFERENCES, len(pictures))
    chosen = (pictures[number * len(pictures) // count] for number in range(count))
    reference_MF = torch.cat([scene_features(torch.from_numpy(one.pixels()[None]), model) for one in chosen])

    def distance(images_NCHW: Tensor) -> float:
        return kernel_distance(scene_features(images_NCHW, model), reference_MF).value

    return distance


def choose(rows: list[Row]) -> Row | None:
    """The validation whose checkpoint is taken; None before the first step.

    Keep rates of a few images are coarse: of all that are within one standard error of the best, the one with the
    smallest distance to the positives is taken; without distances the best, the latest of equals.
    """
    learned = [row for row in rows if row["step"] > 0]
    if not learned:
        return None
    best = max(row["kept"] / row["judged"] for row in learned)
    error = (best * (1 - best) / learned[0]["judged"]) ** 0.5
    near = [row for row in learned if row["kept"] / row["judged"] >= best - error and row["distance"] is not None]
    if near:
        return min(near, key=lambda row: (row["distance"], -row["step"]))
    return max(learned, key=lambda row: (row["kept"], row["step"]))


def describe(row: Row) -> str:
    """One line for the log."""
    reasons = ", ".join(f"{name} {count}" for name, count in sorted(row["reasons"].items()))
    distance = "" if row["distance"] is None else f", {NAME}: kernel distance {row['distance']:.4g} to the positives"
    rejected = f" (rejected: {reasons})" if reasons else ""
    return f"step {row['step']}: {row['kept']} of {row['judged']} validation images kept{rejected}{distance}"
