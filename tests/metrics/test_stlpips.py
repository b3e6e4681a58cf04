"""ST-LPIPS: our reading of the authors' weights gives what their own network gives."""

import importlib
import sys
import types

import pytest
import torch
from held_out import degrade, to_NCHW

from genir.errors import ExtraError, ImageError
from genir.metrics.stlpips import StLpips, weights_file

installed = pytest.mark.skipif(importlib.util.find_spec("stlpips_pytorch") is None, reason="extra stlpips")


@installed
@pytest.mark.parametrize("net", ["alex", pytest.param("vgg", marks=pytest.mark.slow)])
def test_the_numbers_are_those_of_the_authors(net, photographs, monkeypatch):
    for name in ("IPython", "torchsummary", "torchvision", "torchvision.models"):  # left-over imports of theirs
        stub = types.ModuleType(name)
        stub.embed = stub.summary = stub.models = None
        monkeypatch.setitem(sys.modules, name, stub)
    theirs = importlib.import_module("stlpips_pytorch.stlpips").LPIPS(net, variant="shift_tolerant", verbose=False)
    clean = [picture.crop((40, 30, 136, 110)) for picture in list(photographs.values())[:2]]
    one, other = to_NCHW(clean), to_NCHW([degrade(picture, "blur", 1.0) for picture in clean])
    with torch.no_grad():
        wanted = theirs(one.float() / 127.5 - 1, other.float() / 127.5 - 1).flatten()
        found = StLpips(net)(one, other)
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    assert found.min() > 0.05


@installed
def test_order_batch_and_size(photographs):
    model, picture = StLpips("alex"), photographs["coffee"].crop((0, 0, 96, 96))
    worse = to_NCHW([picture, *(degrade(picture, "blur", amount) for amount in (0.5, 1.0, 2.0))])
    clean = to_NCHW([picture] * 4)
    with torch.no_grad():
        found = model(worse, clean)
        single = [model(a[None], b[None]).item() for a, b in zip(worse, clean, strict=True)]
    assert found.tolist() == sorted(found.tolist())
    assert found[0] == 0
    assert found.tolist() == pytest.approx(single, abs=1e-6)
    with pytest.raises(ImageError, match="16x96 pixels"):
        model(worse[:, :, :16], clean[:, :, :16])


def test_without_the_package_one_line_says_how(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExtraError, match=r"st_lpips_alex needs its weights: pip install 'genir\[stlpips\]'"):
        weights_file("alex")
