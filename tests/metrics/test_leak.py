"""The leak test finds what only the making left behind, and finds nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data

from genir.metrics.leak import BINS, LEAST, auc, leak_auc, spectrum

PICTURES = [data.chelsea(), data.coffee(), data.astronaut(), data.rocket(), data.stereo_motorcycle()[0]]


def crops(count: int, side: int = 64) -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    found = []
    for index in range(count):
        picture = PICTURES[index % len(PICTURES)]
        y, x = rng.integers(0, picture.shape[0] - side), rng.integers(0, picture.shape[1] - side)
        found.append(torch.from_numpy(picture[y : y + side, x : x + side].transpose(2, 0, 1).copy()))
    return found


def with_a_grid(image_CHW: torch.Tensor) -> torch.Tensor:
    """Two gray levels up and down from pixel to pixel, as up-sampling layers leave them: hardly visible."""
    rows, columns = torch.arange(image_CHW.shape[1]), torch.arange(image_CHW.shape[2])
    board_HW = ((rows[:, None] + columns) % 2) * 4 - 2
    return (image_CHW.int() + board_HW).clamp(0, 255).to(torch.uint8)


def test_a_trace_that_is_hardly_visible_is_found() -> None:
    value, count = leak_auc((image, with_a_grid(image)) for image in crops(60))
    assert count == 60
    assert value is not None
    assert value > 0.8


def test_nothing_is_found_between_sets_made_alike() -> None:
    """Mirrored pictures have the same statistics: any separation would be the classifier's own memory."""
    value, _ = leak_auc((image, image.flip(2)) for image in crops(60))
    assert value is not None
    assert value == pytest.approx(0.5, abs=0.1)


def test_few_pairs_say_nothing() -> None:
    assert leak_auc((image, image) for image in crops(LEAST - 1)) == (None, LEAST - 1)


def test_the_spectrum_of_another_size_is_comparable() -> None:
    torch.manual_seed(0)
    small, large = (torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((128, 128), (256, 320)))
    assert spectrum(small).shape == (3 * BINS,)
    outer = spectrum(small).view(3, BINS)[:, BINS // 2 :] - spectrum(large).view(3, BINS)[:, BINS // 2 :]
    assert outer.abs().mean() < 0.12  # chance alone: about 0.08


def test_constant_pictures_have_a_finite_spectrum() -> None:
    assert torch.isfinite(spectrum(torch.zeros(3, 48, 32, dtype=torch.uint8))).all()


def test_auc_counts_ties_half() -> None:
    assert auc(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0])) == 0.875
    assert auc(torch.tensor([1.0]), torch.tensor([0.0])) == 0.0
