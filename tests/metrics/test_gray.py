import pytest
import torch

from genir.errors import GenirError
from genir.metrics.gray import gray


def test_gray_values_stay_and_primaries_have_their_bt601_weight():
    images = torch.zeros(1, 3, 1, 4, dtype=torch.uint8)
    images[0, :, 0, 0] = 77
    for channel in range(3):
        images[0, channel, 0, 1 + channel] = 255
    assert gray(images, "x")[0, 0].tolist() == [77, 76, 150, 29]


def test_every_gray_level_is_kept():
    levels = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, 256)
    assert gray(levels, "x")[0, 0].tolist() == list(range(256))


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 3, 64, 64),
        torch.zeros(3, 64, 64, dtype=torch.uint8),
        torch.zeros(1, 1, 64, 64, dtype=torch.uint8),
    ],
)
def test_other_dtypes_and_shapes_are_refused(images):
    with pytest.raises(GenirError, match=r"piqe: images are .* but torch.uint8 \(N, 3, H, W\) is needed"):
        gray(images, "piqe")


def test_small_images_are_refused_with_their_size():
    with pytest.raises(GenirError, match=r"31x40 pixels .* 32 is the smallest"):
        gray(torch.zeros(1, 3, 31, 40, dtype=torch.uint8), "signal", 32)
