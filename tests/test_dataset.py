"""Pairs on the fly: a function of (seed, key, epoch), in any worker."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from genir.dataset import DegradedDataset
from genir.degrade import Degrader
from genir.errors import PlanError


@pytest.fixture
def run(dummy):
    dummy.run("made", prompts=12, shard_size=8, batch=4, sizes=[[64, 64]])
    return str(dummy.folder / "made")


def loaded(loader):
    return {item["key"]: (item["hq"].numpy().copy(), item["lq"].numpy().copy()) for item in loader}


def same(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[k][i], two[k][i]) for k in one for i in (0, 1))


def test_any_number_of_workers_gives_the_same_pairs(run):
    dataset = DegradedDataset(run, "bsrgan", seed=3)
    alone = loaded(dataset[index] for index in range(len(dataset)))
    assert 0 < len(alone) < 12  # rejected images are not in it
    loader = DataLoader(dataset, batch_size=None, num_workers=2, shuffle=True)
    assert same(loaded(loader), alone)
    hq, lq = next(iter(alone.values()))
    assert (hq.shape, lq.shape, hq.dtype, lq.dtype) == ((3, 64, 64), (3, 16, 16), np.uint8, np.uint8)


def test_an_epoch_reaches_workers_that_live_on(run):
    dataset = DegradedDataset(run, "bsrgan")
    loader = DataLoader(dataset, batch_size=None, num_workers=1, persistent_workers=True)
    first = loaded(loader)
    dataset.set_epoch(1)
    second = loaded(loader)
    assert all(np.array_equal(first[key][0], second[key][0]) for key in first)
    assert not any(np.array_equal(first[key][1], second[key][1]) for key in first)
    dataset.set_epoch(0)
    assert same(loaded(loader), first)


def test_an_item_is_what_the_degrader_makes(run):
    item = DegradedDataset(run, "bsrgan", seed=3)[2]
    (pair,) = Degrader("bsrgan", 3)([item["hq"].numpy()], [item["key"]])
    assert torch.equal(item["lq"], torch.from_numpy(pair.lq_CHW))
    assert item["synthetic"] is True
    assert item["text"].startswith("prompt ")


def test_nothing_to_take(run, tmp_path):
    (tmp_path / "keys.txt").write_text("")
    with pytest.raises(PlanError, match="no picture to take"):
        DegradedDataset(run, selected=str(tmp_path / "keys.txt"))
