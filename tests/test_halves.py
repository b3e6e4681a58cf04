"""A batch that fails is split until what fails is alone (tests/test_sample.py has the whole story)."""

import logging

import pytest
import torch

from genir import halves
from genir.errors import ModelError, Stopped
from genir.halves import in_halves


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL + 1, "genir")


def double(poison):
    def work(items):
        if poison in items:
            raise ValueError("bad\n item")
        return [2 * item for item in items]

    return work


@pytest.mark.parametrize("poison", range(-1, 5))
def test_neighbours_survive_in_order(poison):
    found = in_halves(range(5), double(poison), lambda item, message: (item, message))
    assert found == [2 * n if n != poison else (n, "ValueError: bad item") for n in range(5)]


@pytest.mark.parametrize(("tries", "expected"), [(4, [0, 2]), (99, ["OutOfMemoryError: full", 2])])
def test_a_single_item_waits_for_memory_that_others_hold(tries, expected, monkeypatch):
    monkeypatch.setattr(halves, "PAUSE", 0.0)
    held = iter([True] * tries)

    def work(items):
        if 0 in items and next(held, False):
            raise torch.OutOfMemoryError("full")
        return [2 * item for item in items]

    assert in_halves([0, 1], work, lambda item, message: message) == expected
    assert len(list(held)) == max(0, tries - 2 - halves.TRIES), "the batch once, the item patiently"


@pytest.mark.parametrize("error", [ModelError("no"), Stopped(), torch.AcceleratorError("gone"), KeyboardInterrupt()])
def test_what_is_no_items_fault_passes_through(error):
    def work(items):
        raise error

    with pytest.raises(type(error)):
        in_halves([1, 2], work, lambda item, message: None)
