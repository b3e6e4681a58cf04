"""A torch dataset of HQ-LQ pairs, degraded when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from genir.config.degradation import Degradation
from genir.degrade import Degrader
from genir.errors import ImageError, PlanError
from genir.sources import open_source, taken


class DegradedDataset(Dataset[dict[str, Any]]):
    """Pairs of a run, a folder of photographs or tars; the same numbers as `genir degrade` gives with the same seed.

    An item is a function of (seed, key, epoch): of no worker, order or batch. `set_epoch` also reaches workers that
    are at work already.
    """

    def __init__(
        self,
        source: str | Mapping[str, str],
        degradation: str | Degradation = "realesrgan",
        seed: int = 0,
        selected: str | None = None,
        column: str = "text",
    ) -> None:
        """Find the pictures.

        Args:
            source: a run directory, a folder, a tar, a folder of tars, or several: prefix -> place.
            degradation: a preset's name, a YAML file, or the blocks themselves.
            seed: as `seed` of `genir degrade`.
            selected: file with the keys to take of a run.
            column: of a folder's metadata table, that holds the captions.

        Raises:
            GenirError: nothing there, or no such preset.
        """
        self._source = open_source(source, selected, column)
        self._degrade = Degrader(degradation, seed)
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._numbers = np.array([int(one.key) for one in taken(self._source)], dtype=np.int64)
        if not len(self._numbers):
            raise PlanError(f"{source}: no picture to take there")

    def set_epoch(self, epoch: int) -> None:
        """Another epoch, other crops and degradations."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The pair of the present epoch; as `pair` has it."""
        return self.pair(index, int(self._epoch))

    def pair(self, index: int, epoch: int) -> dict[str, Any]:
        """A pair of any epoch: `hq` and `lq` (uint8 RGB tensors, (3, H, W)), `key`, `text`, `synthetic`.

        Raises:
            ImageError: the picture cannot be read, or is smaller than the crop.
        """
        (original,) = self._source.originals(self.number(index), self.number(index) + 1)
        pixels_CHW, synthetic = original.read()
        try:
            (pair,) = self._degrade([pixels_CHW], [original.key], epoch)
        except ImageError as error:
            raise ImageError(f"{original.name}: {error}") from None
        return {
            "hq": torch.from_numpy(np.ascontiguousarray(pair.hq_CHW)),
            "lq": torch.from_numpy(np.ascontiguousarray(pair.lq_CHW)),
            "key": original.key,
            "text": original.text,
            "synthetic": synthetic,
        }

    def number(self, index: int) -> int:
        """What number a picture has in its source: its key."""
        return int(self._numbers[index])
