import numpy as np
import pytest
import torch
from held_out import STRONG, degrade, to_NCHW
from PIL import Image
from skimage import data

from genir.errors import GenirError
from genir.metrics.piqe import piqe

# Scores of pyiqa 0.1.16 (`create_metric("piqe")`, no parameters) on: clean, blur sigma 2, noise sigma 20,
# JPEG quality 15, x4 down and up. An independent implementation; the gap is largest on blurred pictures,
# where many blocks lie close to a threshold of the method.
REFERENCE = {
    "chelsea": (33.393, 81.939, 61.216, 59.307, 84.063),
    "coffee": (27.803, 76.751, 60.492, 53.921, 86.631),
    "astronaut": (33.759, 87.041, 51.048, 64.301, 87.299),
    "brick": (67.330, 90.359, 55.137, 81.301, 91.265),
    "rocket": (38.994, 91.390, 66.028, 67.764, 89.687),
    "camera": (40.012, 80.426, 62.195, 55.238, 88.450),
}


def picture_of(name: str) -> Image.Image:
    return Image.fromarray(getattr(data, name)()).convert("RGB")


def test_scores_are_close_to_the_reference():
    gaps = []
    for name, reference in REFERENCE.items():
        picture = picture_of(name)
        variants = [picture, *(degrade(picture, kind, amount) for kind, amount in STRONG.items())]
        gaps.append(piqe(to_NCHW(variants)).numpy() - np.array(reference))
    gaps = np.abs(np.array(gaps))
    assert gaps.max() < 5
    assert gaps.mean() < 1
    assert gaps[:, [0, 2, 3, 4]].max() < 2.5  # without the blurred ones


def test_clean_photographs_score_better_than_degraded_ones(crops_288):
    clean = piqe(to_NCHW(crops_288))
    for kind, amount in STRONG.items():
        assert (clean < piqe(to_NCHW([degrade(crop, kind, amount) for crop in crops_288]))).all(), kind


def test_more_blur_and_stronger_compression_are_worse(crops_288):
    for kind, amounts in {"blur": (0.8, 1.2, 2), "jpeg": (90, 40, 15)}.items():
        means = [piqe(to_NCHW([degrade(p, kind, a)])).item() for p in crops_288 for a in amounts]
        assert (np.diff(np.array(means).reshape(-1, 3).mean(axis=0)) > 0).all(), kind


def test_constants_are_worst_and_never_nan(constants_NCHW):
    scores = piqe(constants_NCHW)
    assert scores.isfinite().all()
    assert scores[:4].tolist() == [100, 100, 100, 100]


def test_batch_equals_single(crops_128):
    images = to_NCHW(crops_128[:6])
    together = piqe(images)
    for i in range(len(images)):
        assert piqe(images[i : i + 1]).item() == pytest.approx(together[i].item(), abs=1e-4)


@pytest.mark.parametrize("size", [(64, 64), (33, 200), (100, 57)])
def test_small_and_odd_sizes_stay_in_range(size):
    images = torch.randint(0, 256, (2, 3, *size), generator=torch.Generator().manual_seed(3)).byte()
    scores = piqe(images)
    assert scores.shape == (2,)
    assert ((scores >= 0) & (scores <= 100)).all()


def test_images_below_32_pixels_are_refused():
    with pytest.raises(GenirError, match="piqe: images are 16x64"):
        piqe(torch.zeros(1, 3, 16, 64, dtype=torch.uint8))
