"""The self-check decides what may differ and refuses what is wrong: fakes that are right, and wrong in one way each."""

import numpy as np
import pytest

from genir.annotators.backends import BACKENDS
from genir.annotators.draw import Sense
from genir.annotators.segments import CLASSES
from genir.annotators.selfcheck import decide, scene
from genir.errors import ModelError

KNOWN = scene()
FAR = np.maximum(KNOWN.disparity_HW, 0.02)
FLIP_X, FLIP_Y, FLIP_Z = (np.array(signs)[:, None, None] for signs in ((-1, 1, 1), (1, -1, 1), (1, 1, -1)))
RED = np.broadcast_to(np.array([0.85, 0.38, 0.32])[:, None, None], KNOWN.normal_CHW.shape).astype(np.float32)
OUTLINE = np.pad(np.abs(np.diff(KNOWN.ball_HW.astype(np.float32), axis=1)), ((0, 0), (0, 1)))
METRIC, AFFINE = BACKENDS["depth"]["depth_estimation"].senses, BACKENDS["depth"]["marigold"].senses
EITHER = BACKENDS["normal"]["marigold"].senses


def classes(sky="sky", floor="road, earth, sand", ball="other"):
    found = np.full(KNOWN.ball_HW.shape, CLASSES.index(ball))
    found[KNOWN.sky_HW], found[KNOWN.floor_HW] = CLASSES.index(sky), CLASSES.index(floor)
    return found


def blurred(values, noise=0.05):
    """A model is never exact."""
    rng = np.random.default_rng(0)
    return values + noise * np.abs(values).max() * rng.normal(size=values.shape).astype(np.float32)


@pytest.mark.parametrize(
    ("domain", "prediction", "candidates", "sense"),
    [
        ("depth", blurred(FAR), METRIC, Sense()),
        ("depth", blurred(5 * FAR + 3), AFFINE, Sense()),
        ("depth", 1 / FAR, METRIC, Sense(depth="distance")),
        ("depth", blurred(1 - FAR), AFFINE, Sense(depth="affine distance")),
        ("normal", blurred(KNOWN.normal_CHW), EITHER, Sense()),
        ("normal", blurred(KNOWN.normal_CHW * FLIP_X), EITHER, Sense(right="cyan")),
        ("albedo", RED + blurred(OUTLINE)[None] * 0.1, (Sense(),), Sense()),
        ("segmentation", classes(), (Sense(),), Sense()),
        ("segmentation", classes(floor="plant", ball="person"), (Sense(),), Sense()),
        ("edge", OUTLINE, (Sense(),), Sense()),
        ("lineart", 1 - OUTLINE, (Sense(),), Sense()),
        ("openpose", np.zeros((0, 18, 3)), (Sense(),), Sense()),
    ],
)
def test_annotator_that_is_right_passes(domain, prediction, candidates, sense):
    assert decide(domain, lambda views: [prediction for _ in views], candidates, "it") == sense


NOISE = np.random.default_rng(1).random(KNOWN.ball_HW.shape).astype(np.float32)


@pytest.mark.parametrize(
    ("domain", "prediction", "candidates", "message"),
    [
        ("depth", 1 / FAR, (Sense(),), "rank correlation -"),
        ("depth", NOISE, METRIC, "rank correlation"),
        ("depth", np.ones_like(NOISE), METRIC, r"not usable \(flat\)"),
        ("depth", np.full_like(NOISE, np.nan), METRIC, r"not usable \(nonfinite\)"),
        ("depth", FAR[:, :-8], METRIC, r"not usable \(size\)"),
        ("normal", KNOWN.normal_CHW * FLIP_Y, EITHER, "wrong by"),
        ("normal", KNOWN.normal_CHW * FLIP_Z, EITHER, "wrong by|facing away"),
        ("normal", KNOWN.normal_CHW * FLIP_X, (Sense(),), "wrong by"),
        ("albedo", KNOWN.pixels_CHW / np.float32(255), (Sense(),), "shading is left"),
        ("albedo", RED[::-1] + NOISE * 0.01, (Sense(),), "is not red"),
        ("segmentation", (classes() + 1) % 12, (Sense(),), "the sky is called building"),
        ("segmentation", classes(floor="vehicle"), (Sense(),), "the floor is called vehicle"),
        ("edge", 1 - OUTLINE, (Sense(),), r"not usable \(polarity\)"),
        ("edge", OUTLINE * 0.05, (Sense(),), "no brighter than the rest"),
        ("lineart", OUTLINE, (Sense(),), r"not usable \(polarity\)"),
        ("openpose", np.full((1, 18, 3), 90.0), (Sense(),), "people where there are none"),
    ],
)
def test_annotator_that_is_wrong_is_refused_in_one_line(domain, prediction, candidates, message):
    with pytest.raises(
        ModelError, match=f"domains.x: fails the self-check on a rendered ball and floor: .*({message})"
    ) as caught:
        decide(domain, lambda views: [prediction for _ in views], candidates, "domains.x")
    assert "\n" not in str(caught.value)


def test_annotator_scene_is_what_it_says():
    """Nearer things are lower in the picture on the floor; the ball's normals lean outwards; the lit side is left."""
    floor = KNOWN.disparity_HW[:, 5]
    assert (np.diff(floor[KNOWN.floor_HW[:, 5]]) > 0).all()
    assert np.allclose((KNOWN.normal_CHW**2).sum(0), 1, atol=1e-5)
    rows, columns = np.nonzero(KNOWN.ball_HW)
    middle = int(rows.mean())
    left, right = columns[rows == middle].min(), columns[rows == middle].max()
    assert KNOWN.normal_CHW[0, middle, left + 1] < -0.8 < 0.8 < KNOWN.normal_CHW[0, middle, right - 1]
    gray = KNOWN.pixels_CHW.mean(0)
    assert gray[middle, left + 10] > gray[middle, right - 10] + 30
