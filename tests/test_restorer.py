"""The compact restorer: begins as bicubic, learns, draws every picture equally often, sees texture in its loss."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch.nn import functional as F

from genir import restorer
from genir.config.degradation import Degradation
from genir.dataset import DegradedDataset
from genir.degrade.presets import preset
from genir.errors import Stopped

CPU = torch.device("cpu")


def picture(side=64, count=2):
    tiles = [data.coffee()[100 : 100 + side, 90 * n : 90 * n + side] for n in range(count)]
    return torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2)


def test_untrained_it_is_bicubic():
    lq = picture(16).float() / 255
    model = restorer.Restorer(4, 8, 2)
    assert torch.allclose(model(lq), F.interpolate(lq, scale_factor=4, mode="bicubic", align_corners=False))
    assert restorer.restored(model, picture(16)).shape == (2, 3, 64, 64)


def test_the_loss_sees_texture_that_the_pixels_hardly_show():
    hq = picture().float() / 255
    loss, plain = restorer.Loss(1.0, CPU), restorer.Loss(0.0, CPU)
    assert loss(hq, hq) == 0
    soft = F.avg_pool2d(hq, 3, 1, 1, count_include_pad=False)
    brighter = hq + plain(soft, hq)  # as far in pixels
    assert plain(brighter, hq).item() == pytest.approx(plain(soft, hq).item(), rel=1e-3)
    assert loss(soft, hq) > 3 * loss(brighter, hq)
    made = soft.clone().requires_grad_()
    loss(made, hq).backward()
    assert made.grad is not None
    assert made.grad.abs().sum() > 0


def test_every_picture_once_an_epoch_in_an_order_of_its_own():
    first, again, other = (list(itertools.islice(restorer.draws([3, 5, 8], seed), 9)) for seed in (1, 1, 2))
    assert first == again
    assert sorted(first) == sorted(itertools.product((3, 5, 8), range(3)))
    assert [epoch for _, epoch in first] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert first != other


@pytest.fixture
def pairs(tmp_path):
    for number, tile in enumerate(picture(count=4)):
        Image.fromarray(tile.permute(1, 2, 0).numpy()).save(tmp_path / f"{number}.png")
    facts = preset("bicubic").model_dump() | {"crop": 32}
    return DegradedDataset(str(tmp_path), Degradation.model_validate(facts))


def test_it_learns_and_equal_seeds_give_equal_weights(pairs):
    def trained(steps):
        torch.manual_seed(0)
        model = restorer.Restorer(4, 8, 1)
        loss = restorer.train(model, pairs, [0, 1, 2], restorer.Loss(0.1, CPU), 0, steps, 4, 5e-3, lambda: False)
        return loss, model

    (before, _), (after, model), (_, again) = trained(1), trained(40), trained(40)
    assert after < 0.9 * before
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_it_stops_between_two_steps(pairs):
    with pytest.raises(Stopped):
        restorer.train(restorer.Restorer(4, 4, 1), pairs, [0], restorer.Loss(0, CPU), 0, 5, 1, 1e-3, lambda: True)


def test_a_pair_of_any_epoch_is_that_of_the_epoch_that_is_set(pairs):
    pairs.set_epoch(2)
    assert torch.equal(pairs[1]["lq"], pairs.pair(1, 2)["lq"])
    assert not torch.equal(pairs[1]["hq"], pairs.pair(1, 0)["hq"])
