"""Predictions -> labels in Jodi's conventions; what a label must be."""

import numpy as np
import pytest

from genir.annotators import selfcheck
from genir.annotators.draw import Sense, agreement, failing, label_of, normals_of
from genir.annotators.segments import ADE20K, CLASSES, PALETTE, TO_TWELVE, classes_of, coloured, is_ade20k
from genir.annotators.skeleton import FROM_COCO, drawn, openpose_points

SIZE = (6, 8)
RAMP = np.tile(np.linspace(1, 9, 8, dtype=np.float32), (6, 1))  # to the right


def test_annotator_depth_is_bright_where_it_is_near():
    for sense, brightest in ((Sense(), -1), (Sense(depth="distance"), 0), (Sense(depth="affine distance"), 0)):
        label = label_of("depth", RAMP, SIZE, sense)
        assert (label.reason, label.pixels_CHW.shape) == ("", (1, *SIZE))
        assert (label.pixels_CHW.min(), label.pixels_CHW.max()) == (0, 255)
        assert (label.pixels_CHW[0, :, brightest] == 255).all()
    metric = label_of("depth", RAMP, SIZE, Sense(depth="distance")).pixels_CHW[0, 0]
    assert np.argmax(np.abs(np.diff(metric.astype(int)))) == 0  # inverse distance falls most where it is near
    assert label_of("depth", np.ones(SIZE, np.float32), SIZE, Sense()).reason == "flat"


def test_annotator_normals_left_is_red_up_is_green_the_camera_is_blue():
    faces = {"left": (-1, 0, 0), "right": (1, 0, 0), "up": (0, 1, 0), "camera": (0, 0, 1)}
    wanted = {"left": (255, 128, 128), "right": (0, 128, 128), "up": (128, 255, 128), "camera": (128, 128, 255)}
    for name, vector in faces.items():
        prediction = np.broadcast_to(np.array(vector, np.float32)[:, None, None] * 3, (3, *SIZE))  # of any length
        label = label_of("normal", prediction, SIZE, Sense())
        assert np.abs(label.pixels_CHW[:, 0, 0].astype(int) - wanted[name]).max() <= 1, name
        assert label.reason == ""
        assert np.allclose(normals_of(label.pixels_CHW)[:, 0, 0], vector, atol=0.01)
        mirrored = prediction * np.array([-1, 1, 1])[:, None, None]
        assert np.array_equal(label_of("normal", mirrored, SIZE, Sense(right="cyan")).pixels_CHW, label.pixels_CHW)


@pytest.mark.parametrize(
    ("domain", "pixels", "reason"),
    [
        ("edge", np.zeros((3, 5, 8)), "size"),
        ("edge", np.full((3, *SIZE), 7), "flat"),
        ("edge", np.arange(208, 256).reshape(1, *SIZE), "polarity"),
        ("lineart", np.arange(48).reshape(1, *SIZE), "polarity"),
        ("albedo", np.full((3, *SIZE), 7), "flat"),
        ("normal", np.full((3, *SIZE), 255), "not unit"),
        ("normal", np.full((3, *SIZE), 128), "not unit"),
        ("normal", np.broadcast_to(np.array([128, 128, 0])[:, None, None], (3, *SIZE)), "facing away"),
        ("segmentation", np.full((3, *SIZE), 1), "palette"),
        ("segmentation", np.zeros((1, *SIZE)), "palette"),
        ("openpose", None, "nobody"),
        ("depth", None, "nothing"),
    ],
)
def test_annotator_labels_that_cannot_be_used_have_a_reason(domain, pixels, reason):
    assert failing(domain, pixels if pixels is None else pixels.astype(np.uint8), SIZE) == reason


def test_annotator_a_prediction_that_is_not_finite_is_no_label():
    bad = RAMP.copy()
    bad[2, 3] = np.nan
    label = label_of("depth", bad, SIZE, Sense())
    assert (label.pixels_CHW, label.reason) == (None, "nonfinite")


def test_annotator_twelve_classes():
    assert len(CLASSES) == len(PALETTE) == len({tuple(colour) for colour in PALETTE.tolist()}) == 12
    everything = [number for members in ADE20K.values() for number in members]
    assert len(everything) == len(set(everything)) == 64
    assert [CLASSES[TO_TWELVE[number]] for number in (13, 3, 5, 7, 1, 16, 21, 22, 9, 150, 0)] == [
        *("person", "sky", "plant", "road, earth, sand", "wall, floor, ceiling, rug", "furniture", "vehicle", "water"),
        *("other", "other", "other"),
    ]
    classes_HW = np.arange(48).reshape(SIZE) % 12
    picture = coloured(classes_HW)
    assert picture.dtype == np.uint8
    assert tuple(picture[:, 0, 0]) == (0, 0, 127)
    assert np.array_equal(classes_of(picture), classes_HW)
    picture = picture.copy()
    picture[0, 3, 3] += 1
    assert classes_of(picture) is None


def test_annotator_ade20k_is_recognised_by_its_names():
    names = {number: f"thing {number}" for number in range(150)}
    names |= {number - 1: name for members in ADE20K.values() for number, name in members.items()}
    assert is_ade20k(names)
    shifted = {number: names[(number + 1) % 150] for number in range(150)}
    assert not is_ade20k(shifted)
    assert not is_ade20k({number: names[number] for number in range(149)})


def test_annotator_people_of_coco_become_openpose():
    coco = np.arange(17 * 3, dtype=np.float32).reshape(1, 17, 3)
    coco[..., 2] = 0.9
    coco[0, 6, 2] = 0.4
    points = openpose_points(coco)
    assert points.shape == (1, 18, 3)
    assert np.allclose(points[0, 1], [(coco[0, 5, 0] + coco[0, 6, 0]) / 2, (coco[0, 5, 1] + coco[0, 6, 1]) / 2, 0.4])
    assert sorted(FROM_COCO) == [-1, *range(17)]
    # OpenPose: 2 right shoulder, 5 left shoulder, 14 right eye, 17 left ear; COCO: 6, 5, 2, 3
    assert [FROM_COCO[point] for point in (0, 2, 5, 14, 17)] == [0, 6, 5, 2, 3]


def test_annotator_skeleton_has_openposes_colours():
    person = np.zeros((1, 18, 3), np.float32)
    person[0, 0] = (100, 30, 0.9)  # nose
    person[0, 1] = (100, 100, 0.9)  # neck
    person[0, 2] = (40, 100, 0.9)  # right shoulder, at the picture's left
    picture = drawn(person, (200, 200))
    assert tuple(picture[:, 30, 100]) == (255, 0, 0)
    assert tuple(picture[:, 100, 40]) == (255, 170, 0)
    assert tuple(picture[:, 100, 70]) == (153, 0, 0)  # the first limb, dimmed
    assert tuple(picture[:, 65, 100]) == (0, 0, 153)
    assert picture[:, 150:].max() == 0
    person[..., 2] = 0.1
    assert drawn(person, (200, 200)) is None


def test_annotator_depth_and_normals_are_compared():
    known = selfcheck.scene()
    size = known.ball_HW.shape
    depth = label_of("depth", known.disparity_HW, size, Sense()).pixels_CHW[0]
    normal = label_of("normal", known.normal_CHW, size, Sense()).pixels_CHW
    assert agreement(depth, normal) > 0.95
    assert agreement(255 - depth, normal) < -0.95
    upside_down = label_of("normal", known.normal_CHW * np.array([1, -1, 1])[:, None, None], size, Sense()).pixels_CHW
    assert agreement(depth, upside_down) < -0.5
    assert agreement(np.full_like(depth, 9), normal) is None


def test_annotator_agreement_does_not_depend_on_the_size():
    for side in (256, 2048):
        x, y = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
        depth = np.rint(255 * (0.15 * x + 0.85 * y)).astype(np.uint8)  # nearer below: a floor, slightly turned
        normal = np.array([-0.104, 0.591, 0.8], np.float32)[:, None, None] * np.ones((side, side), np.float32)
        assert agreement(depth, label_of("normal", normal, (side, side), Sense()).pixels_CHW) > 0.99
