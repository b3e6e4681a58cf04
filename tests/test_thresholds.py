"""Thresholds hold the share that was asked, jointly; the ROC says what they hit."""

import numpy as np
import pytest

from genir.thresholds import Scores, area, held_out, limits_at, roc, share_rejected


def normal(count, mean=0.0, columns=3, seed=0):
    return np.random.default_rng(seed).normal(mean, 1, (count, columns))


@pytest.mark.parametrize("reject", [0.01, 0.05, 0.2])
def test_all_checks_together_reject_what_was_asked_and_hardly_less(reject):
    scores = normal(1000)
    limits = limits_at(scores, reject)
    assert reject - 0.005 <= share_rejected(scores, limits) <= reject
    alone = [share_rejected(scores[:, [n]], limits[n]) for n in range(3)]
    assert max(alone) - min(alone) <= 0.005
    assert reject / 3 - 0.005 <= min(alone)


def test_a_share_of_fewer_pictures_than_checks_goes_to_the_first_checks():
    scores = np.diag([5.0, 6.0, 7.0, 8.0])
    scores = np.concatenate([scores, np.zeros((36, 4))])
    limits = limits_at(scores, 0.05)  # two pictures of forty
    assert share_rejected(scores, limits) == 0.05
    assert limits.tolist() == [0.0, 0.0, 7.0, 8.0]


def test_pictures_that_did_not_set_the_thresholds_meet_about_the_share():
    found, bound = held_out(normal(2000, columns=2), 0.05)
    assert 0.04 < found < bound < 0.07


def test_a_low_score_can_be_the_bad_one():
    scores = Scores(np.arange(100.0)[:, None], np.array([[1.0], [50.0]]), ["low"])
    limits = limits_at(scores.reference_NC, 0.05)
    assert scores.threshold(0, limits) == 5.0
    assert share_rejected(scores.negatives_MC, limits) == 0.5


def test_what_could_not_be_computed_is_rejected():
    own = np.append(np.arange(99.0), np.nan)[:, None]
    scores = Scores(own, np.array([[np.nan], [1.0]]), ["high"])
    limits = limits_at(scores.reference_NC, 0.05)
    assert limits[0] == 94.0  # four numbers and the one that is none
    assert share_rejected(scores.negatives_MC, limits) == 0.5
    with pytest.raises(ValueError, match=r"1\.0% of the pictures have a score that could not be computed"):
        limits_at(scores.reference_NC, 0.001)


def test_roc_of_separate_equal_and_known_distributions():
    sides = ["high"]
    apart = Scores(normal(500, 0, 1), normal(500, 9, 1, seed=1), sides)
    equal = Scores(normal(2000, 0, 1), normal(2000, 0, 1, seed=1), sides)
    known = Scores(normal(4000, 0, 1), normal(4000, 1, 1, seed=1), sides)
    assert area(*roc(apart, 0)) > 0.999
    assert area(*roc(equal, 0)) == pytest.approx(0.5, abs=0.03)
    assert area(*roc(known, None)) == pytest.approx(0.7602, abs=0.015)  # Phi(1 / sqrt 2)
    x, y = roc(known, 0)
    assert np.all(np.diff(x) >= 0)
    assert np.all(np.diff(y) >= 0)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
