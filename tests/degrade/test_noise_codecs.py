"""Noise has the stated moments and is a function of its seed; codecs do what their standards say."""

import io

import numpy as np
import papers
import pytest
import torch
from PIL import Image

from genir.degrade import codecs, noise


def flat(value, side=400):
    return torch.full((3, side, side), value)


def test_gaussian_noise_has_its_sigma():
    image = flat(0.5)
    added = (noise.gaussian(image, 12.0, False, 7) - image) * 255
    assert added.std().item() == pytest.approx(12, rel=0.01)
    assert added.mean().abs() < 0.1
    assert np.abs(np.corrcoef(added.flatten(1).numpy()) - np.eye(3)).max() < 0.02
    assert (image == 0.5).all()


def test_gray_noise_is_the_same_in_all_channels():
    added = noise.gaussian(flat(0.5), 12.0, True, 7) - 0.5
    assert torch.equal(added[0], added[1])
    assert torch.equal(added[0], added[2])
    added = noise.poisson(flat(0.5), 2.0, True, 7) - 0.5
    assert (added[0] - added[2]).abs().max() < 1e-6


def test_correlated_noise_has_its_covariance():
    covariance = [[200.0, 90.0, 20.0], [90.0, 150.0, 60.0], [20.0, 60.0, 100.0]]
    added = (noise.gaussian(flat(0.5), 0.0, False, 7, covariance) - 0.5) * 255
    assert np.abs(np.cov(added.flatten(1).numpy()) - covariance).max() < 4


def test_noise_is_a_function_of_its_seed():
    for add in (lambda s: noise.gaussian(flat(0.5), 9.0, False, s), lambda s: noise.poisson(flat(0.5), 2.0, False, s)):
        first = add(3)
        torch.rand(5)
        assert torch.equal(first, add(3))
        assert not torch.equal(first, add(4))


def test_poisson_noise_counts_the_levels():
    """100 of 128 counts have a variance of 100 / 128^2, for an image with 65 to 128 different levels."""
    image = torch.arange(100, 200).float().repeat(3, 300, 3) / 255  # 100 levels
    added = (noise.poisson(image, 0.6, False, 1) - image).numpy()
    for level in (110, 150, 190):
        here = added[(image * 255).round().numpy() == level]
        assert here.var() == pytest.approx(0.6**2 * level / 255 / 128, rel=0.05)
        assert abs(here.mean()) < 0.005


@pytest.mark.parametrize("quality", [30.0, 48.7, 75.3, 95.0])
def test_diffjpeg(photograph, quality):
    grain = np.random.default_rng(0).normal(0, 1, (3, 83, 101))  # whole numbers lie on the edge between two steps
    image = ((photograph[:, :83, :101] + grain) / 255).clip(0, 1).astype(np.float32)
    ours = codecs.diffjpeg(torch.from_numpy(image), quality).numpy()
    expected = papers.diffjpeg(image.astype(float), quality)
    assert np.quantile(np.abs(ours - expected), 0.99) < 1e-6  # a few coefficients round to the other side in float32


def test_diffjpeg_at_100_only_averages_chroma(photograph):
    gray = np.repeat(photograph[:1], 3, 0).astype(np.float32) / 255
    assert np.abs(codecs.diffjpeg(torch.from_numpy(gray), 100).numpy() - gray).max() < 1e-5


@pytest.mark.parametrize(("codec", "kind"), [(codecs.libjpeg, "JPEG"), (codecs.webp, "WEBP")])
def test_files_of_a_real_codec(photograph, codec, kind):
    file = io.BytesIO()
    Image.fromarray(photograph.transpose(1, 2, 0)).save(file, kind, quality=40)
    expected = np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1)
    ours = codec(torch.from_numpy(photograph).float() / 255, 40)
    assert np.array_equal((ours * 255).round().to(torch.uint8).numpy(), expected)
