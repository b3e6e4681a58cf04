"""The procedural renderer: deterministic, exact layers, sharp, the same scene at every size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tools.embedded.measure import laplacian_variance, to_signed
from tools.embedded.render.canvas import Label
from tools.embedded.render.scenes import SUBJECTS, render


def test_there_are_24_subjects():
    assert len(SUBJECTS) == 24


@pytest.mark.parametrize("subject", SUBJECTS)
def test_layers_are_exact_and_repeatable(subject):
    scene, again = render(subject, 5, 64), render(subject, 5, 64)
    assert scene.facts == again.facts
    for name in ("image_HWC", "albedo_HWC", "normal_HWC", "depth_HW", "label_HW"):
        np.testing.assert_array_equal(getattr(scene, name), getattr(again, name))
    assert scene.image_HWC.shape == (64, 64, 3)
    assert scene.image_HWC.dtype == np.uint8
    np.testing.assert_allclose(np.linalg.norm(scene.normal_HWC, axis=-1), 1.0, atol=1e-3)
    assert (scene.depth_HW > 0).all()
    assert set(np.unique(scene.label_HW)) <= {int(label) for label in Label}
    assert scene.facts.subject == subject
    assert np.ptp(scene.image_HWC) > 60


def test_another_seed_is_another_scene():
    assert not np.array_equal(render("house", 1, 64).image_HWC, render("house", 2, 64).image_HWC)


@pytest.mark.parametrize("subject", ["mountains", "flower", "city", "brick wall"])
def test_a_larger_picture_shows_the_same_scene(subject):
    small, large = render(subject, 11, 64).image_HWC, render(subject, 11, 128).image_HWC
    shrunk = large.reshape(64, 2, 64, 2, 3).mean((1, 3))
    same = np.corrcoef(small.ravel(), shrunk.ravel())[0, 1]
    other = np.corrcoef(small.ravel(), render(subject, 12, 64).image_HWC.ravel())[0, 1]
    assert same > 0.8
    assert same > other + 0.1


def test_larger_pictures_have_more_detail_not_larger_pixels():
    large = to_signed(torch.from_numpy(render("leaves", 3, 128).image_HWC[None]))
    small = to_signed(torch.from_numpy(render("leaves", 3, 64).image_HWC[None]))
    stretched = torch.nn.functional.interpolate(small, scale_factor=2, mode="bicubic")
    assert laplacian_variance(large) > 2 * laplacian_variance(stretched)
