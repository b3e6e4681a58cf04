import pytest
import torch
from held_out import to_NCHW

from genir.metrics.gray import gray
from genir.metrics.metric import Batch
from genir.metrics.mscn import Contrast, mscn, tiles
from genir.metrics.niqe import load_model, niqe
from genir.metrics.nss import fit_aggd, patch_features
from genir.metrics.piqe import piqe


@pytest.mark.parametrize("alpha", [0.8, 1.0, 2.0, 4.0])
def test_aggd_recovers_shape_and_widths(alpha):
    # |x|^alpha of a generalised Gaussian of width 1 is gamma-distributed with shape 1 / alpha.
    torch.manual_seed(0)
    shape = torch.tensor(1 / alpha, dtype=torch.float64)
    size = torch.distributions.Gamma(shape, torch.tensor(1.0, dtype=torch.float64)).sample((400_000,)) ** shape
    # The side of a sample is drawn in proportion to its width, as in the AGGD.
    left, right = 0.5, 1.5
    sign = torch.rand(size.shape) < left / (left + right)
    values = torch.where(sign, -left * size, right * size)
    fitted_alpha, fitted_left, fitted_right, mean = fit_aggd([values[None, None]])
    assert fitted_alpha.item() == pytest.approx(alpha, rel=0.03)
    assert fitted_left.item() == pytest.approx(left, rel=0.03)
    assert fitted_right.item() == pytest.approx(right, rel=0.03)
    assert mean.item() == pytest.approx(values.mean().item(), rel=0.03)


def test_mscn_of_a_photograph_is_close_to_unit_contrast(photographs):
    coefficients, deviation = mscn(gray(to_NCHW([photographs["coffee"]]), "x"))
    assert abs(coefficients.mean()) < 0.05
    assert 0.3 < coefficients.std() < 1.2
    assert deviation.min() >= 0


def test_mscn_of_a_bright_flat_image_is_zero():
    coefficients, deviation = mscn(torch.full((1, 40, 40), 255.0, dtype=torch.float64))
    assert coefficients.abs().max() < 1e-9
    assert deviation.max() < 1e-5


def test_tiles_are_whole_and_in_reading_order():
    tiled = tiles(torch.arange(5 * 7).view(1, 5, 7), 2)
    assert tiled.shape == (1, 6, 2, 2)
    assert tiled[0, 0].tolist() == [[0, 1], [7, 8]]
    assert tiled[0, 4].tolist() == [[16, 17], [23, 24]]


def test_features_of_constants_are_finite(constants_NCHW):
    features, sharpness = patch_features(Contrast(constants_NCHW), 32)
    assert features.shape == (6, 16, 36)
    assert features.isfinite().all()
    assert sharpness[:4].max() < 1e-5


@pytest.mark.parametrize("size", [(96, 128), (128, 96), (90, 77)])
def test_a_part_of_shared_coefficients_is_as_if_it_were_alone(photographs, size):
    images_NCHW = to_NCHW([photographs["coffee"].crop((0, 0, 128, 128))])
    height, width = size
    alone = mscn(gray(images_NCHW[..., :height, :width], "x"))
    shared = Contrast(images_NCHW)
    for part, whole, wanted in zip(shared.mscn(height, width), shared.mscn(128, 128), alone, strict=True):
        assert torch.equal(part, wanted)
        assert (part != whole[:, :height, :width]).any(), "the last rows and columns see other neighbours"


def test_fits_of_several_samples_are_those_of_each():
    samples = [torch.randn(2, 3, count, generator=torch.Generator().manual_seed(count)).double() for count in (50, 70)]
    together = fit_aggd(samples)
    for number, sample in enumerate(samples):
        for all_of, (one,) in zip(together, fit_aggd([sample]), strict=True):
            assert torch.equal(all_of[number], one)


def test_what_metrics_share_changes_no_number(crops_128):
    images_NCHW = to_NCHW(crops_128[:3])[..., :112]
    model, shared = load_model("niqe_32"), Contrast(images_NCHW)
    assert torch.equal(niqe(shared, model), niqe(images_NCHW, model))
    assert torch.equal(piqe(shared), piqe(images_NCHW))


def test_a_whole_part_of_a_batch_keeps_what_was_made_of_it(crops_128):
    batch = Batch(to_NCHW(crops_128[:3]))
    assert batch.part(slice(0, 3)).contrast is batch.contrast
    assert torch.equal(batch.part(slice(1, 3)).contrast.luma_NHW, batch.contrast.luma_NHW[1:])
