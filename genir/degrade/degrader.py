"""One HQ picture, its key and an epoch -> an LQ picture, and the record of how it was made."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from genir import seeds
from genir.config.degradation import Degradation
from genir.degrade.apply import apply
from genir.degrade.draw import Step, draw
from genir.degrade.filters import unsharp_mask
from genir.degrade.presets import preset
from genir.degrade.resize import resize
from genir.errors import ImageError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Cut:
    """A rectangle of the original, in its pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Recipe:
    """All that was drawn for one picture."""

    crop: Cut
    """What is degraded."""
    patch: Cut
    """What is kept of it as HQ."""
    steps: list[Step]


@dataclass(frozen=True)
class Pair:
    """HQ and LQ."""

    recipe: Recipe
    hq_CHW: np.ndarray
    """uint8 RGB: pixels of the original, untouched."""
    lq_CHW: np.ndarray
    """uint8 RGB, `scale` times smaller."""


class Degrader:
    """Makes LQ pictures; every draw is a function of (seed, key, epoch), never of batch, order or worker.

    On one kind of device equal inputs give equal bytes; the numbers of the noise differ between a CPU and a GPU.
    """

    def __init__(self, degradation: str | Degradation, seed: int = 0, device: str | torch.device = "cpu") -> None:
        """Nothing is drawn yet.

        Args:
            degradation: a preset's name, a YAML file, or the blocks themselves.
            seed: of the run.
            device: where the pictures are degraded.

        Raises:
            ConfigError: no such preset or file.
        """
        self.degradation = preset(degradation) if isinstance(degradation, str) else degradation
        self.seed, self.device = seed, torch.device(device)

    def recipe(self, key: str, epoch: int, size_HW: tuple[int, int]) -> Recipe:
        """What will be done to the picture of that key in that epoch.

        Args:
            key: names the picture in its run or folder.
            epoch: another epoch, another crop and degradation.
            size_HW: rows and columns of the picture.

        Raises:
            ImageError: the picture is smaller than the crop.
        """
        rng = random.Random(seeds.derive(self.seed, key, f"degrade:{epoch}"))
        crop = self._crop(rng, size_HW)
        steps = draw(self.degradation, rng, (crop.height, crop.width))
        return Recipe(crop, self._patch(rng, crop), steps)

    def __call__(self, images: Sequence[np.ndarray], keys: Sequence[str], epoch: int = 0) -> list[Pair]:
        """Degrade a batch, each picture by its own recipe; sizes may differ.

        Args:
            images: uint8 RGB, (3, H, W); stay as they are.
            keys: one an image.
            epoch: of all of them.

        Raises:
            ImageError: a picture is smaller than the crop.
        """
        sizes = [(int(image.shape[1]), int(image.shape[2])) for image in images]
        recipes = [self.recipe(key, epoch, size_HW) for key, size_HW in zip(keys, sizes, strict=True)]
        # all are under way on an accelerator before the first one is asked for
        lqs = [self.replay(image, recipe) for image, recipe in zip(images, recipes, strict=True)]
        return [
            Pair(recipe, _cut(image, recipe.patch), lq_CHW.cpu().numpy())
            for image, recipe, lq_CHW in zip(images, recipes, lqs, strict=True)
        ]

    def replay(self, image: np.ndarray, recipe: Recipe) -> Tensor:
        """The LQ (uint8, on the device) that a recipe makes of its picture."""
        with torch.inference_mode():
            pixels_CHW = torch.from_numpy(np.ascontiguousarray(_cut(image, recipe.crop))).to(self.device)
            lq_CHW = to_uint8(apply(pixels_CHW.float() / 255, recipe.steps))
        scale, crop, patch = self.degradation.scale, recipe.crop, recipe.patch
        top, left = (patch.top - crop.top) // scale, (patch.left - crop.left) // scale
        return lq_CHW[:, top : top + patch.height // scale, left : left + patch.width // scale]

    def _crop(self, rng: random.Random, size_HW: tuple[int, int]) -> Cut:
        scale, wanted = self.degradation.scale, self.degradation.crop
        height, width = (wanted or size for size in size_HW)
        if min(size_HW) < (wanted or scale):
            raise ImageError(f"{size_HW[0]}x{size_HW[1]} pixels are less than the crop of {wanted or scale}; lower it")
        height, width = height - height % scale, width - width % scale
        return Cut(_upto(rng, size_HW[0] - height), _upto(rng, size_HW[1] - width), height, width)

    def _patch(self, rng: random.Random, crop: Cut) -> Cut:
        scale, wanted = self.degradation.scale, self.degradation.patch
        if wanted is None:
            return crop
        side = wanted - wanted % scale
        down, right = (_upto(rng, (length - side) // scale) * scale for length in (crop.height, crop.width))
        return Cut(crop.top + down, crop.left + right, side, side)


def sharpened(degradation: Degradation, hq_CHW: np.ndarray) -> np.ndarray:
    """The HQ after the degradation's unsharp mask: the ground truth of Real-ESRGAN and DreamClear."""
    assert degradation.usm is not None
    usm = degradation.usm
    with torch.inference_mode():
        image_CHW = torch.from_numpy(np.ascontiguousarray(hq_CHW)).float() / 255
        return to_uint8(unsharp_mask(image_CHW, usm.weight, usm.radius, usm.threshold)).numpy()


def enlarged(lq_CHW: np.ndarray, scale: int) -> np.ndarray:
    """The LQ brought to the HQ's size (bicubic): `sr_bicubic` of SeeSR and DreamClear."""
    with torch.inference_mode():
        image_CHW = torch.from_numpy(np.ascontiguousarray(lq_CHW)).float() / 255
        size_HW = (image_CHW.shape[1] * scale, image_CHW.shape[2] * scale)
        return to_uint8(resize(image_CHW, size_HW, "bicubic")).numpy()


def to_uint8(image_CHW: Tensor) -> Tensor:
    """0..1 -> 0..255, rounded and clipped."""
    return (image_CHW * 255).round().clamp(0, 255).to(torch.uint8)


def _cut(image: np.ndarray, cut: Cut) -> np.ndarray:
    return image[:, cut.top : cut.top + cut.height, cut.left : cut.left + cut.width]


def _upto(rng: random.Random, last: int) -> int:
    return int(rng.random() * (last + 1))
