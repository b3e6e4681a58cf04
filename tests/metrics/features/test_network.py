"""Scene features see content and quality, on pictures that neither the network nor its trainer has seen."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from held_out import degrade, to_NCHW
from PIL import Image

from genir.errors import GenirError, ImageError
from genir.metrics.features import network
from genir.metrics.features.frechet import frechet_distance
from genir.metrics.features.kernel import kernel_distance
from tools.embedded.features import named_subjects
from tools.embedded.render.scenes import SUBJECTS, render
from tools.embedded.splits import first_seed

FAMILIAR = ("brick wall", "wood", "planet", "nebula", "clouds", "fruit")
"""Subjects that render in milliseconds."""


@pytest.fixture(scope="module")
def model() -> network.SceneFeatures:
    torch.set_num_threads(1)
    return network.load()


@functools.cache
def renders(subject: str, count: int = 12) -> torch.Tensor:
    first = first_seed("test") + 900
    return to_NCHW([Image.fromarray(render(subject, first + k, 128).image_HWC) for k in range(count)])


def test_shape_and_independence_of_the_batch(model: network.SceneFeatures) -> None:
    images = torch.cat([renders("wood"), renders("clouds")])
    features = network.scene_features(images, model)
    assert features.shape == (24, network.FEATURES)
    assert features.dtype == torch.float32
    torch.testing.assert_close(network.scene_features(images[5:6], model)[0], features[5], atol=1e-5, rtol=1e-4)
    assert network.scene_features(images[:0], model).shape == (0, network.FEATURES)


def test_the_file_is_small() -> None:
    assert network._WEIGHTS.stat().st_size < 3_000_000


@pytest.mark.parametrize(
    "images",
    [torch.zeros(1, 3, 128, 128), torch.zeros(3, 128, 128).byte()],
)
def test_what_is_no_batch_of_pictures_is_refused(model: network.SceneFeatures, images: torch.Tensor) -> None:
    with pytest.raises(GenirError, match=r"scene features 1: images are .* but torch.uint8 \(N, 3, H, W\)"):
        network.scene_features(images, model)
    with pytest.raises(ImageError, match=r"scene features 1: 32x128 pixels .*, but 64 is the smallest side"):
        network.scene_features(torch.zeros(2, 3, 32, 128).byte(), model)


def test_subjects_of_unseen_scenes_are_named(model: network.SceneFeatures) -> None:
    right = [
        (named_subjects(network.scene_features(renders(s), model)) == list(SUBJECTS).index(s)).float().mean()
        for s in FAMILIAR
    ]
    assert np.mean(right) > 0.85


def test_subjects_are_further_apart_than_scenes_of_one(model: network.SceneFeatures) -> None:
    sets = {s: network.scene_features(renders(s), model) for s in FAMILIAR}
    for one in FAMILIAR:
        within = kernel_distance(sets[one][::2], sets[one][1::2]).value
        assert all(kernel_distance(sets[one], sets[o]).value > within + 0.02 for o in FAMILIAR if o != one)


@pytest.mark.parametrize(
    ("fault", "weak", "strong"), [("blur", 0.8, 2), ("noise", 8, 25), ("jpeg", 50, 12), ("x4", 2, 4)]
)
def test_worse_photographs_are_further_away(model, crops_128, fault: str, weak: float, strong: float) -> None:
    """Degraded photographs against other clean ones: both distances order clean, weak and strong."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(crops_128))
    mine, others = ([crops_128[k] for k in order[half::2]] for half in (0, 1))
    real = network.scene_features(to_NCHW(others), model)
    sets = [mine, *([degrade(crop, fault, amount) for crop in mine] for amount in (weak, strong))]
    features = [network.scene_features(to_NCHW(crops), model) for crops in sets]
    for distance in (frechet_distance, lambda a, b: kernel_distance(a, b).value):
        clean, worse, worst = (distance(f, real) for f in features)
        assert clean < worse < worst
