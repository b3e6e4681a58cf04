"""Kernels and filters against plain NumPy versions written from the papers."""

import math

import numpy as np
import papers
import pytest
import torch

from genir.degrade import kernels
from genir.degrade.filters import blur, unsharp_mask
from genir.degrade.resize import decimate, resize


@pytest.mark.parametrize("family", ["gaussian", "generalized", "plateau"])
@pytest.mark.parametrize("size", [7, 13, 21])
def test_gaussian_family(family, size):
    for sigma, angle, beta in [((0.2, 0.2), 0.0, 0.5), ((3.0, 0.7), 0.6, 1.0), ((1.1, 2.4), -2.5, 3.7)]:
        ours = kernels.gaussian(size, sigma, angle, family, beta)
        assert np.abs(ours.numpy() - papers.gaussian(size, sigma, angle, family, beta)).max() < 1e-6


@pytest.mark.parametrize("size", [7, 11, 21])
@pytest.mark.parametrize("cutoff", [math.pi / 5, 1.7, math.pi])
def test_sinc(size, cutoff):
    assert np.abs(kernels.sinc(size, cutoff).numpy() - papers.sinc(size, cutoff)).max() < 1e-6


@pytest.mark.parametrize("length", [0.0, 1.0, 4.3, 15.0])
@pytest.mark.parametrize("angle", [0.0, 0.7, math.pi / 2])
def test_motion(length, angle):
    ours = kernels.motion(length, angle).numpy()
    assert np.abs(ours - papers.motion(len(ours), length, angle)).max() < 1e-6
    wider = papers.motion(len(ours) + 2, length, angle)  # nothing is cut off
    assert np.abs(wider[1:-1, 1:-1] - ours).max() < 1e-6


@pytest.mark.parametrize("radius", [0.2, 1.0, 4.4])
def test_defocus(radius):
    ours = kernels.defocus(radius).numpy()
    assert np.abs(ours - papers.defocus(len(ours), radius)).max() < 1e-6
    assert np.abs(papers.defocus(len(ours) + 2, radius)[1:-1, 1:-1] - ours).max() < 1e-6


def test_no_width_is_no_blur():
    kernel = kernels.gaussian(7, (0.0, 0.0), 0.3, "gaussian")
    assert kernel[3, 3] == 1
    assert kernel.sum() == 1


@pytest.mark.parametrize("shape", [(3, 40, 57), (3, 12, 9), (3, 7, 1)])
def test_blur_is_a_correlation_with_mirrored_borders(shape):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    kernel = papers.gaussian(21, (2.0, 0.8), 0.5)
    kernel[2, 5] += 0.1  # not symmetric: a convolution would give something else
    expected = papers.correlate(image.astype(float), kernel)
    assert np.abs(blur(torch.from_numpy(image), torch.from_numpy(kernel)).numpy() - expected).max() < 1e-6


def test_unsharp_mask(photograph):
    image = photograph[:, :90, :110].astype(np.float32) / 255
    before = image.copy()
    ours = unsharp_mask(torch.from_numpy(image), 0.5, 50, 10).numpy()
    assert np.abs(ours - papers.unsharp(image.astype(float), 0.5, 50, 10)).max() < 1e-5
    assert np.array_equal(image, before)
    assert np.abs(ours - image).max() > 0.05


@pytest.mark.parametrize(("old", "new"), [(64, 16), (63, 21), (16, 64), (50, 33)])
def test_imresize_follows_matlab(old, new):
    image = np.random.default_rng(1).random((3, old, old)).astype(np.float32)
    rows = np.stack([[papers.imresize(line, new) for line in plane.T] for plane in image])
    both = np.stack([[papers.imresize(line, new) for line in plane] for plane in rows.transpose(0, 2, 1)])
    assert np.abs(resize(torch.from_numpy(image), (new, new), "imresize").numpy() - both).max() < 1e-6


def test_decimation_takes_the_centres():
    ramp = torch.arange(64, dtype=torch.float32).expand(3, 64, 64) / 64
    small = decimate(ramp, (16, 16), 1.0)
    centres = (torch.arange(16) * 4 + 1.5) / 64
    assert (small[:, 3:-3, 3:-3] - centres[3:-3]).abs().max() < 1e-6
    point = torch.zeros(1, 64, 64)
    point[0, 30, 30] = 1.0  # half a pixel beyond the centre of new pixel 7
    assert decimate(point, (16, 16), 1.2)[0, 7, 7] == pytest.approx(
        float(np.exp(-0.5 * (0.5 / 1.2) ** 2) / np.exp(-0.5 * ((np.arange(-40, 40) + 0.5) / 1.2) ** 2).sum()) ** 2,
        rel=1e-4,
    )
