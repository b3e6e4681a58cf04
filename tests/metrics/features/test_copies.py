"""Copies: planted ones are found, mirrored, shifted or noisy; new pictures of the same kind are not."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from genir.errors import GenirError
from genir.metrics.features.copies import closeness, copy_rate


def pictures(number: int, count: int) -> torch.Tensor:
    """Smooth random fields of 64 px around one common picture: alike as pictures of one subject are."""
    numbers = torch.Generator().manual_seed(number)
    common = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(99))
    own = torch.randn(count, 3, 6, 6, generator=numbers)
    fields = F.interpolate(common + own, size=64, mode="bicubic")
    return (128 + 40 * fields).clamp(0, 255).byte()


def features(images: torch.Tensor) -> torch.Tensor:
    """Means of a 4 x 4 grid and of its mirror image: rough, and blind to mirroring, as real features are."""
    grid = F.adaptive_avg_pool2d(images.float(), 4)
    return (grid + grid.flip(3)).flatten(1)


TRAINING = pictures(0, 400)


def close(images: torch.Tensor) -> torch.Tensor:
    return closeness(images, features(images), TRAINING, features(TRAINING))


def test_a_training_image_is_at_zero_and_a_new_one_near_one() -> None:
    assert close(TRAINING[:5]) == pytest.approx(0, abs=1e-5)
    assert (close(pictures(1, 30)) > 0.5).all()


def test_copies_are_found_in_every_disguise_and_new_pictures_are_not() -> None:
    some = TRAINING[:40]
    noise = torch.randn(some.shape, generator=torch.Generator().manual_seed(5))
    disguised = torch.cat(
        [
            some[:10].flip(3),
            some[10:20].roll((4, -2), (2, 3)),
            (some[20:30] + 8 * noise[20:30]).clamp(0, 255).byte(),
            (some[30:].float() * 0.97 + 4).byte(),
        ]
    )
    unseen = close(pictures(2, 300))
    assert copy_rate(close(disguised), unseen).rate > 0.9
    assert copy_rate(close(pictures(3, 300)), unseen).rate < 0.04
    half = torch.cat([close(disguised), close(pictures(4, 40))])
    assert 0.45 < copy_rate(half, unseen).rate < 0.56


def test_the_rate_by_hand() -> None:
    unseen = torch.linspace(0, 1, 101)
    rate, threshold = copy_rate(torch.tensor([0.005, 0.02, 0.5, 0.9]), unseen, share=0.01)
    assert (rate, threshold) == (0.25, pytest.approx(0.01))


def test_pictures_of_another_size_are_compared_too() -> None:
    larger = F.interpolate(TRAINING[:4].float(), scale_factor=2).byte()
    assert closeness(larger, features(larger), TRAINING, features(TRAINING)) == pytest.approx(0, abs=1e-5)


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(GenirError, match="copies: 50 training images, but more than 50 are needed"):
        closeness(TRAINING[:1], features(TRAINING[:1]), TRAINING[:50], features(TRAINING[:50]))
    with pytest.raises(GenirError, match="copies: 60 unseen images, but at least 100 are needed"):
        copy_rate(torch.zeros(3), torch.zeros(60))
