"""One cell: a restorer is trained on its pictures, and its restored test crops are measured."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import torch

from genir import restorer, seeds, storage
from genir.config.utility import BICUBIC
from genir.degrade import Degrader
from genir.degrade.degrader import enlarged
from genir.errors import ConfigError
from genir.metrics.metric import Batch
from genir.shards import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from genir.jobs.utility.launch import Cell, Launch
    from genir.records import Columns

_BATCH = 8  # crops that are restored and measured together
_LOCK = ".lock"


class Bench:
    """What all cells of a launch share."""

    def __init__(self, launch: Launch, should_stop: Callable[[], bool]) -> None:
        self._launch, self._should_stop = launch, should_stop
        self._loss = restorer.Loss(launch.config.training.perceptual, launch.device)
        self._names, self._lq, self._hq = self._test_pairs()

    def _test_pairs(self) -> tuple[list[str], Tensor, Tensor]:
        """Photograph of each crop, LQ and HQ."""
        launch, names, pairs = self._launch, [], []
        degrade = Degrader(launch.test_degradation, launch.config.seed)
        for one in launch.test.originals(0, launch.test.available):
            if one.reason:
                continue
            pixels_CHW, _ = one.read()
            height, width = pixels_CHW.shape[1:]
            if min(height, width) < launch.config.test.side:
                raise ConfigError(
                    f"test.source {one.name}: {height}x{width} pixels (height x width) are less than a crop of "
                    f"{launch.config.test.side}; leave it out, or lower test.side"
                )
            for crop in range(launch.config.test.crops):
                names.append(one.name)
                pairs += degrade([pixels_CHW], [one.key], crop)
        if len(set(names)) < 2:
            raise ConfigError(f"test.source {launch.config.test.source}: {len(set(names))} photographs, 2 are needed")
        lq_NCHW, hq_NCHW = (
            torch.from_numpy(np.stack(side)) for side in zip(*((p.lq_CHW, p.hq_CHW) for p in pairs), strict=True)
        )
        return names, lq_NCHW, hq_NCHW

    def work(self, cell: Cell) -> bool:
        """Train and measure, unless another process does; raises Stopped."""
        lock = storage.try_lock(cell.path.with_suffix(_LOCK))
        if lock is None:
            return False
        try:
            if not cell.path.exists():
                self._make(cell)
            storage.remove(cell.path.with_suffix(_LOCK))
        finally:
            os.close(lock)
        return True

    def _make(self, cell: Cell) -> None:
        scale = self._launch.degradation.scale
        loss = None
        if cell.name == BICUBIC:
            made_NCHW = torch.from_numpy(np.stack([enlarged(lq_CHW.numpy(), scale) for lq_CHW in self._lq]))
        else:
            model, loss = self._trained(cell)
            made_NCHW = torch.cat([restorer.restored(model, part).cpu() for part in self._lq.split(_BATCH)])
        scores = self._measured(made_NCHW)
        rows = [
            {"photograph": name, "crop": number % self._launch.config.test.crops, "loss": loss}
            | {metric: values[number] for metric, values in scores.items()}
            for number, name in enumerate(self._names)
        ]
        columns: Columns = {"photograph": "string", "crop": "int", "loss": "float", **dict.fromkeys(scores, "float")}
        storage.write(cell.path, table.encode(rows, columns))

    def _trained(self, cell: Cell) -> tuple[restorer.Restorer, float]:
        launch, wanted, config = self._launch, self._launch.config.restorer, self._launch.config.training
        torch.manual_seed(seeds.derive(cell.seed, "", "utility:initial"))
        model = restorer.Restorer(launch.degradation.scale, wanted.channels, wanted.blocks).to(launch.device)
        loss = restorer.train(
            model,
            launch.pairs(cell),
            launch.pictures(cell),
            self._loss,
            cell.seed,
            config.steps,
            config.batch,
            config.rate,
            self._should_stop,
        )
        return model, loss

    def _measured(self, made_NCHW: Tensor) -> dict[str, list[float]]:
        device, scores = self._launch.device, {metric.name: list[float]() for metric in self._launch.metrics}
        for one, other in zip(made_NCHW.split(_BATCH), self._hq.split(_BATCH), strict=True):
            batch = Batch(one.to(device), other.to(device), self._launch.degradation.scale)
            for metric in self._launch.metrics:
                scores[metric.name] += metric.score(batch).tolist()
        return scores
