import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from skimage import data

from genir.detectors.faces import FLOOR, FaceDetector, nms, weights_sha256
from genir.errors import ConfigError, GenirError


def to_NCHW(picture: Image.Image | np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].contiguous()


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    return Image.fromarray(data.astronaut())


def test_labelled_faces_are_found_and_other_crops_are_not(detector):
    """scikit-image's lfw_subset: 100 faces, then 100 crops without, 25 px, enlarged to 48 px."""
    crops_NHW = torch.from_numpy(data.lfw_subset()).float()[:, None] * 255
    images = F.interpolate(crops_NHW, (48, 48), mode="bicubic").clamp(0, 255).byte().expand(-1, 3, -1, -1)
    scores = torch.tensor([faces.score for faces in detector.detect(images)])
    assert (scores[:100] >= FLOOR).sum() == 100
    assert (scores[100:] >= FLOOR).sum() <= 1


@pytest.mark.parametrize("side", [1024, 512, 256, 128, 64])
def test_a_face_is_found_at_every_size(detector, astronaut, side):
    (faces,) = detector.detect(to_NCHW(astronaut.resize((side, side), Image.Resampling.LANCZOS)))
    assert faces.score >= 0.4
    assert faces.scores_K[0] == pytest.approx(faces.score, abs=1e-6)
    centre = (faces.boxes_K4[0, :2] + faces.boxes_K4[0, 2:]) / 2 / side
    assert centre.tolist() == pytest.approx([0.44, 0.23], abs=0.03)
    assert faces.area == pytest.approx(0.04, abs=0.02)


@pytest.mark.parametrize("angle", [45, 90, 180, 270])
def test_a_turned_face_is_found(detector, astronaut, angle):
    (faces,) = detector.detect(to_NCHW(astronaut.rotate(angle)))
    assert faces.score >= FLOOR


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket", "brick"])
def test_pictures_without_a_face_have_no_box_but_a_score(detector, name):
    pixels = getattr(data, name)()
    (faces,) = detector.detect(to_NCHW(pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=2)))
    assert 0 < faces.score < FLOOR
    assert faces.boxes_K4.shape == (0, 4)
    assert faces.scores_K.shape == (0,)
    assert faces.area == 0


def test_the_strict_mode_never_scores_less(astronaut):
    image = to_NCHW(astronaut.resize((96, 96), Image.Resampling.LANCZOS))
    once, strict = FaceDetector().detect(image)[0], FaceDetector(scales=(1.0, 2.0)).detect(image)[0]
    assert strict.score >= once.score
    assert len(strict.boxes_K4) == 1  # both scales find the same face: one box after suppression


def test_a_capped_long_side_gives_boxes_in_pixels_of_the_image(astronaut):
    image = to_NCHW(astronaut.resize((1024, 1024), Image.Resampling.LANCZOS))
    (capped,) = FaceDetector(long_side=512).detect(image)
    (native,) = FaceDetector().detect(to_NCHW(astronaut))
    assert capped.boxes_K4[0].tolist() == pytest.approx((native.boxes_K4[0] * 2).tolist(), abs=12)
    assert capped.area == pytest.approx(native.area, abs=0.005)


def test_batch_equals_single(detector, astronaut):
    crops = [astronaut.crop((x, 0, x + 200, 150)) for x in (0, 100, 150, 200, 300)]
    images = torch.cat([to_NCHW(crop) for crop in crops])
    together = detector.detect(images)
    assert max(faces.score for faces in together) > 0.5
    for i, faces in enumerate(together):
        (alone,) = detector.detect(images[i : i + 1])
        assert alone.score == pytest.approx(faces.score, abs=1e-4)
        assert torch.allclose(alone.boxes_K4, faces.boxes_K4, atol=1e-2)
        assert torch.allclose(alone.scores_K, faces.scores_K, atol=1e-4)


def test_large_batches_are_cut_without_a_difference(detector, astronaut, monkeypatch):
    images = torch.cat([to_NCHW(astronaut.rotate(angle)) for angle in (0, 90, 180)])
    whole = detector.detect(images)
    monkeypatch.setattr("genir.detectors.faces._PIXELS_PER_PASS", 512 * 512)
    assert [f.score for f in detector.detect(images)] == pytest.approx([f.score for f in whole], abs=1e-4)


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (31, 50), (1, 1)])
def test_any_size_works_and_boxes_stay_inside(detector, astronaut, size):
    (faces,) = detector.detect(to_NCHW(astronaut.crop((150, 30, 310, 200)).resize(size[::-1])))
    assert math.isfinite(faces.score)
    assert (faces.boxes_K4 >= 0).all()
    assert (faces.boxes_K4 <= torch.tensor([size[1], size[0]] * 2)).all()
    assert 0 <= faces.area <= 1


def test_suppression_keeps_the_better_of_two_overlapping_boxes():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [0, 0, 10, 3]])
    assert nms(boxes, torch.tensor([0.5, 0.9, 0.4, 0.3]), 0.3).tolist() == [1, 2, 3]
    assert nms(torch.empty(0, 4), torch.empty(0), 0.3).tolist() == []


@pytest.mark.parametrize("images", [torch.zeros(1, 3, 64, 64), torch.zeros(3, 64, 64, dtype=torch.uint8)])
def test_other_dtypes_and_shapes_are_refused(detector, images):
    with pytest.raises(GenirError, match=r"faces: images are .* but torch.uint8 \(N, 3, H, W\) is needed"):
        detector.detect(images)


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match=r"scales are \(\)"):
        FaceDetector(scales=())
    with pytest.raises(ConfigError, match=r"scales are \(1.0, 9.0\), but at least one number 0.125..4.0"):
        FaceDetector(scales=(1.0, 9.0))
    with pytest.raises(ConfigError, match="long_side is 10 pixels, but at least 64"):
        FaceDetector(long_side=10)


def test_provenance_is_a_sha256():
    assert len(weights_sha256()) == 64
