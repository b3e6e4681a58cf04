"""Metrics by name: the names of the configuration, order and direction, packages and weights that are not there."""

import sys
import types

import pytest
import torch
from held_out import STRONG, degrade, to_NCHW
from torch import nn

from genir.config import evaluate as configuration
from genir.errors import ConfigError, ExtraError, ModelError
from genir.metrics import catalogue, outside
from genir.metrics.features.diversity import diversity
from genir.metrics.metric import Batch

CPU = torch.device("cpu")


def test_the_configuration_knows_the_same_names():
    assert {*configuration.FULL, *configuration.BLIND} == set(catalogue.METRICS)
    assert {*configuration.Features.__args__} == set(catalogue.EXTRACTORS)
    assert outside.PYIQA == configuration.PYIQA


OURS = ["psnr", "psnr_y", "ssim", "ssim_y", "niqe_32", "piqe"]


@pytest.mark.parametrize("metric", catalogue.metrics(OURS, CPU), ids=OURS)
def test_direction_reference_and_batch_are_as_stated(metric, photographs):
    clean = [picture.crop((40, 30, 168, 158)) for picture in photographs.values()]
    worse = to_NCHW([degrade(picture, "blur", STRONG["blur"]) for picture in clean])
    slightly = to_NCHW([degrade(picture, "blur", 0.5) for picture in clean])
    clean = to_NCHW(clean)
    assert metric.full == metric.name.startswith(("psnr", "ssim"))
    references = clean if metric.full else None
    bad, good = (metric.score(Batch(images, references, 2)) for images in (worse, slightly))
    assert (bad.mean() > good.mean()) == metric.lower
    flipped = metric.score(Batch(worse.flip(0), clean.flip(0) if metric.full else None, 2)).flip(0)
    assert flipped.tolist() == pytest.approx(bad.tolist(), rel=1e-6)
    single = [metric.score(Batch(worse, references, 2).part(slice(n, n + 1))).item() for n in range(len(worse))]
    assert single == pytest.approx(bad.tolist(), rel=1e-6)
    assert metric.facts(2)["crop_border"] == (2 if metric.full else 0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lpips_alex", r"metric lpips_alex needs lpips: pip install 'genir\[lpips\]'"),
        ("dists", r"metric dists needs piq: pip install 'genir\[dists\]'"),
        ("pyiqa:maniqa-pipal", r"metric pyiqa:maniqa-pipal needs pyiqa: pip install 'genir\[pyiqa\]'"),
    ],
)
def test_a_package_that_is_not_there_is_named(name, message, monkeypatch):
    monkeypatch.setitem(sys.modules, {"lpips_alex": "lpips", "dists": "piq"}.get(name, "pyiqa"), None)
    with pytest.raises(ExtraError, match=message):
        catalogue.metrics([name], CPU)
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(ExtraError, match=r"inception needs .*genir\[fid\]"):
        catalogue.extractors(["inception"], CPU)


def test_an_unknown_metric_is_refused():
    with pytest.raises(ConfigError, match=r"metric nice: unknown; there are psnr, .*pyiqa:NAME"):
        catalogue.metrics(["nice"], CPU)


@pytest.fixture
def package(monkeypatch, tmp_path):
    """Stands in for `lpips`, which loads a backbone through torch.hub as torchvision does."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    class Distance(nn.Module):
        def __init__(self, net, verbose):
            super().__init__()
            self.layer = nn.Conv2d(3, 1, 1)
            print("a notice that nobody asked for")
            url = "https://example.org/models/backbone-0123.pth"
            self.layer.load_state_dict(torch.hub.load_state_dict_from_url(url, map_location="cpu"))

        def forward(self, one, other):
            return (self.layer(one) - self.layer(other)).abs().mean((1, 2, 3), keepdim=True)

    module = types.ModuleType("lpips")
    module.LPIPS = Distance
    monkeypatch.setitem(sys.modules, "lpips", module)
    monkeypatch.setattr(outside, "_version", lambda name: f"{name} 0")


def test_weights_that_are_not_there_are_one_line_and_no_download(package, tmp_path, capsys):
    place = tmp_path / "hub" / "checkpoints" / "backbone-0123.pth"
    command = f"curl --create-dirs -Lo '{place}' 'https://example.org/models/backbone-0123.pth'"
    with pytest.raises(ModelError) as raised:
        catalogue.metrics(["lpips_alex"], CPU)
    assert str(raised.value) == f"metric lpips_alex: its weights {place} are not there; fetch them once: {command}"
    torch.save({"layer": torch.zeros(1)}, place)
    with pytest.raises(ModelError, match=r"metric lpips_alex: cannot be loaded: RuntimeError: .*Missing key"):
        catalogue.metrics(["lpips_alex"], CPU)
    torch.manual_seed(0)
    torch.save(nn.Conv2d(3, 1, 1).state_dict(), place)
    (metric,) = catalogue.metrics(["lpips_alex"], CPU)
    images = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    assert metric.score(Batch(images, images)).tolist() == [0, 0, 0]
    assert (metric.score(Batch(images, images.flip(0)))[[0, 2]] > 0).all()
    before = metric.weights["alex"]
    torch.manual_seed(1)
    torch.save(nn.Conv2d(3, 1, 1).state_dict(), place)
    assert catalogue.metrics(["lpips_alex"], CPU)[0].weights["alex"] != before
    assert capsys.readouterr().out == ""


def test_psnr_ssim_and_piqe_beside_those_of_pyiqa(photographs):
    pytest.importorskip("pyiqa")
    clean = [picture.crop((40, 30, 168, 158)) for picture in photographs.values()]
    worse, clean = to_NCHW([degrade(picture, "noise", 10) for picture in clean]), to_NCHW(clean)
    # their `ssim` looks at a Y of 0..255; their PIQE rounds luma elsewhere
    for name, other, tolerance in (("psnr", "psnr", 0.01), ("ssim", "ssimc", 1e-3), ("piqe", "piqe", 3.0)):
        ours, theirs = catalogue.metrics([name, f"pyiqa:{other}"], CPU)
        found = [metric.score(Batch(worse, clean)).tolist() for metric in (ours, theirs)]
        assert found[0] == pytest.approx(found[1], abs=tolerance), name
        assert (ours.lower, ours.full) == (theirs.lower, theirs.full)


def test_diversity_of_equal_and_of_unlike_images():
    torch.manual_seed(0)
    same = diversity(torch.randn(1, 16).expand(10, 16))
    assert (same.distance, same.vendi) == pytest.approx((0, 1), abs=1e-9)
    unlike = diversity(torch.eye(12))
    assert (unlike.distance, unlike.vendi) == pytest.approx((1, 12))
    few = torch.randn(20, 5)
    kernel = nn.functional.cosine_similarity(few[:, None], few[None], dim=2).double()
    values = torch.linalg.eigvalsh(kernel / 20).clamp(min=1e-15)
    assert diversity(few).vendi == pytest.approx(float((-values * values.log()).sum().exp()), rel=1e-5)
    off = ~torch.eye(20, dtype=torch.bool)
    assert diversity(few).distance == pytest.approx(float(1 - kernel[off].mean()), rel=1e-5)
