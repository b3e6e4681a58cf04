"""PSNR on RGB and Y, against scikit-image and the published definition of Y."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from genir.errors import ImageError
from genir.metrics.psnr import HIGHEST, luma, psnr, without_border
from genir.metrics.ssim import ssim

TOLERANCE_DB = 1e-4
TOLERANCE_SSIM = 1e-5


@pytest.fixture(scope="module")
def pairs(photographs):
    """(picture, its noisy version) as uint8 HWC, of a size that no strip of SSIM divides."""
    rng = np.random.default_rng(3)
    clean = [np.asarray(picture)[:141, :117] for picture in photographs.values()]
    return [(one, (one + rng.normal(0, 9, one.shape)).clip(0, 255).astype(np.uint8)) for one in clean]


def stacked(pictures):
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()


def test_psnr_and_ssim_are_those_of_scikit_image(pairs):
    clean, noisy = (stacked(side) for side in zip(*pairs, strict=True))
    wanted = [peak_signal_noise_ratio(one, other) for one, other in pairs]
    assert psnr(noisy, clean).tolist() == pytest.approx(wanted, abs=TOLERANCE_DB)
    published = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    wanted = [structural_similarity(one, other, channel_axis=2, **published) for one, other in pairs]
    assert ssim(noisy, clean).tolist() == pytest.approx(wanted, abs=TOLERANCE_SSIM)


def test_y_is_that_of_ycbcr(pairs):
    clean, noisy = (stacked(side) for side in zip(*pairs, strict=True))
    wanted = [rgb2ycbcr(one)[..., 0] for one, _ in pairs]
    assert np.abs(luma(clean)[:, 0].numpy() - np.stack(wanted)).max() < 1e-3
    published = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    for number, (one, other) in enumerate(pairs):
        y_one, y_other = (rgb2ycbcr(side)[..., 0] for side in (one, other))
        values = [measure(luma(noisy), luma(clean))[number].item() for measure in (psnr, ssim)]
        assert values[0] == pytest.approx(peak_signal_noise_ratio(y_one, y_other, data_range=255), abs=TOLERANCE_DB)
        assert values[1] == pytest.approx(structural_similarity(y_one, y_other, **published), abs=TOLERANCE_SSIM)


def test_a_batch_is_its_images(pairs):
    clean, noisy = (stacked(side) for side in zip(*pairs, strict=True))
    for measure in (psnr, ssim):
        single = [measure(a[None], b[None]).item() for a, b in zip(noisy, clean, strict=True)]
        assert measure(noisy, clean).tolist() == pytest.approx(single, rel=1e-6)


def test_equal_pictures_and_small_ones(pairs):
    clean = stacked([one for one, _ in pairs])
    assert psnr(clean, clean).tolist() == [HIGHEST] * len(pairs)
    assert ssim(clean, clean).tolist() == pytest.approx([1.0] * len(pairs), abs=1e-9)
    with pytest.raises(ImageError, match=r"10x117 pixels .* 11 is the smallest side"):
        ssim(clean[:, :, :10], clean[:, :, :10])
    assert without_border(clean, 4).shape[2:] == (133, 109)
    assert torch.equal(without_border(clean, 0), clean)
    with pytest.raises(ImageError, match="crop_border 59: nothing is left of 141x117"):
        without_border(clean, 59)
