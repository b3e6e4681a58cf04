"""Plain degradations: a function of pixels and seed, of every kind, and visible."""

from collections import Counter

import numpy as np
import pytest
import torch
from skimage import data

from genir.degrade.simple import degrade
from genir.metrics.niqe import load_model, niqe

PHOTOGRAPH = np.ascontiguousarray(data.chelsea()[40:168, 100:228].transpose(2, 0, 1))


def test_it_is_a_function_of_the_seed():
    first, kind = degrade(PHOTOGRAPH, 5)
    again, _ = degrade(PHOTOGRAPH, 5)
    assert np.array_equal(first, again)
    assert (first.shape, first.dtype) == (PHOTOGRAPH.shape, np.uint8)
    assert kind.split("+")[0] in ("blur", "noise", "jpeg", "down")
    assert not np.array_equal(first, degrade(PHOTOGRAPH, 6)[0])


def test_every_kind_comes_and_some_in_a_row():
    kinds = Counter(degrade(PHOTOGRAPH[:, :32, :32], seed)[1] for seed in range(300))
    assert {kind.split("+")[0] for kind in kinds} == {"blur", "noise", "jpeg", "down"}
    assert {kind for kind in kinds if "+" in kind} == {"blur+noise", "blur+jpeg", "down+noise", "down+jpeg"}
    assert 0.1 < sum(count for kind, count in kinds.items() if "+" in kind) / 300 < 0.3


def test_nearly_all_are_worse_than_the_photograph():
    degraded = np.stack([degrade(PHOTOGRAPH, seed)[0] for seed in range(40)])
    model = load_model("niqe_32")
    clean = niqe(torch.from_numpy(PHOTOGRAPH)[None], model)
    assert (niqe(torch.from_numpy(degraded), model) > clean).float().mean() >= 0.9


@pytest.mark.parametrize("size", [(64, 96), (33, 65)])
def test_any_size(size):
    for seed in range(8):
        assert degrade(PHOTOGRAPH[:, : size[0], : size[1]], seed)[0].shape == (3, *size)
