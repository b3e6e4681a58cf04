import pytest
import torch
from held_out import degrade, to_NCHW

from genir.errors import GenirError
from genir.metrics.signal import signal

KEYS = ["entropy", "laplacian", "flat", "blockiness", "mean", "std", "clipped"]


def test_constants_have_known_values_and_are_never_nan(constants_NCHW):
    scores = signal(constants_NCHW)
    assert list(scores) == KEYS
    assert all(values.isfinite().all() and values.shape == (6,) for values in scores.values())
    red, pixels, cells = 3, 4, 5
    assert scores["entropy"].tolist() == pytest.approx([0, 0, 0, 0, 1, 1])
    assert scores["laplacian"][: red + 1].tolist() == [0, 0, 0, 0]
    # Every pixel of the 1 px board differs from its four neighbours by 255.
    assert scores["laplacian"][pixels] == pytest.approx(1020**2)
    assert scores["flat"][: red + 1].tolist() == [1, 1, 1, 1]
    assert scores["flat"][cells] == 0
    assert scores["blockiness"][: red + 1].tolist() == [0, 0, 0, 0]
    assert scores["mean"].tolist() == pytest.approx([0, 255, 128, 76, 127.5, 127.5])
    assert scores["std"].tolist() == pytest.approx([0, 0, 0, 0, 127.5, 127.5])
    assert scores["clipped"].tolist() == [1, 1, 0, 0, 1, 1]


def test_a_ramp_through_all_levels_has_eight_bits():
    ramp = torch.arange(256, dtype=torch.uint8).expand(1, 3, 64, 256)
    assert signal(ramp)["entropy"].item() == pytest.approx(8)


def test_half_noise_half_nothing_is_half_flat():
    image = torch.zeros(1, 3, 128, 128, dtype=torch.uint8)
    image[..., :64] = torch.randint(0, 256, (1, 1, 128, 64), generator=torch.Generator().manual_seed(1)).byte()
    # Patches of 30 px: columns 0-30 and 30-60 are noise, 60-90 holds the edge, 90-120 is empty.
    assert signal(image)["flat"].item() == pytest.approx(1 / 4)


def test_patches_of_flat_share_follow_the_image_size():
    small = torch.randint(0, 256, (1, 3, 64, 64), generator=torch.Generator().manual_seed(2)).byte()
    large = small.repeat_interleave(8, 2).repeat_interleave(8, 3)
    assert signal(small)["flat"].item() == signal(large)["flat"].item() == 0


def test_blur_lowers_and_noise_raises_the_laplacian(crops_288):
    for picture in crops_288:
        blurred = [picture, *(degrade(picture, "blur", sigma) for sigma in (0.7, 1, 2, 4))]
        falling = signal(to_NCHW(blurred))["laplacian"]
        assert (falling.diff() < 0).all()
        noisy = [picture, *(degrade(picture, "noise", sigma) for sigma in (5, 10, 20, 40))]
        assert (signal(to_NCHW(noisy))["laplacian"].diff() > 0).all()


def test_blockiness_grows_with_jpeg_compression(photographs):
    for name, picture in photographs.items():
        picture = picture.crop((0, 0, 288, 288))
        qualities = [picture, *(degrade(picture, "jpeg", quality) for quality in (95, 75, 50, 15))]
        scores = signal(to_NCHW(qualities))["blockiness"]
        # rocket comes as a JPEG file, so its grid is there from the start
        assert (scores.diff()[1:] > 0).all(), name
        assert scores[0] < scores[2], name


def test_a_cropped_grid_is_not_seen(photographs):
    jpeg = to_NCHW([degrade(photographs["coffee"], "jpeg", 15)])
    assert signal(jpeg)["blockiness"] > 5 * signal(jpeg[..., 2:, 2:])["blockiness"]


def test_batch_equals_single(crops_128):
    images = to_NCHW(crops_128[:6])
    together = signal(images)
    for i in range(len(images)):
        for key, value in signal(images[i : i + 1]).items():
            assert value.item() == pytest.approx(together[key][i].item(), abs=1e-4, rel=1e-6)


@pytest.mark.parametrize("size", [(64, 64), (33, 200), (100, 57)])
def test_small_and_odd_sizes_work(size):
    images = torch.randint(0, 256, (2, 3, *size), generator=torch.Generator().manual_seed(3)).byte()
    assert all(values.isfinite().all() for values in signal(images).values())


def test_images_below_32_pixels_are_refused():
    with pytest.raises(GenirError, match="signal: images are 16x64"):
        signal(torch.zeros(1, 3, 16, 64, dtype=torch.uint8))
