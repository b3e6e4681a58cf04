"""Backends that need a model, on a small one of its real class: shapes, ranges, equal answers, refusals."""

import numpy as np
import pytest
import tiny_models
import torch
from skimage import data

from genir.annotators.backends import BACKENDS, Given
from genir.annotators.draw import Sense, label_of
from genir.annotators.drawings import Generator
from genir.annotators.label import View
from genir.annotators.pidinet import PiDiNet, kinds, plain_kernel
from genir.errors import ModelError

CPU = torch.device("cpu")
VIEWS = [
    View("coffee", np.ascontiguousarray(data.coffee()[::5, ::5].transpose(2, 0, 1))),  # 80 x 120
    View("chelsea", np.ascontiguousarray(data.chelsea()[:75, :101].transpose(2, 0, 1))),  # no multiple of anything
]

MODELS = {
    "depth depth_estimation": tiny_models.depth_anything,
    "depth depth_estimation dpt": tiny_models.dpt,
    "depth depth_estimation zoedepth": tiny_models.zoedepth,
    "depth marigold": lambda folder: tiny_models.marigold(folder, "depth"),
    "depth lotus": tiny_models.lotus,
    "normal marigold": lambda folder: tiny_models.marigold(folder, "normal"),
    "normal lotus": tiny_models.lotus,
    "albedo marigold": lambda folder: tiny_models.marigold(folder, "albedo"),
    "albedo rgb2x": tiny_models.rgb2x,
    "segmentation ade20k": tiny_models.segformer,
    "segmentation ade20k mask2former": tiny_models.mask2former,
    "segmentation ade20k oneformer": tiny_models.oneformer,
}


def built(domain, name, paths, **options):
    backend = BACKENDS[domain][name]
    return backend, backend.build(Given(domain, paths, {**backend.options, **options}, CPU))


@pytest.mark.parametrize("which", MODELS)
def test_annotator_of_a_real_class(which, tmp_path):
    domain, name = which.split()[:2]
    steps = {"steps": 2} if "steps" in BACKENDS[domain][name].options else {}
    backend, predict = built(domain, name, {"model": MODELS[which](tmp_path / "model")}, **steps)
    together, alone = predict(VIEWS), [predict([view])[0] for view in VIEWS]
    for view, prediction, single in zip(VIEWS, together, alone, strict=True):
        assert np.array_equal(prediction, single)
        assert prediction.shape[-2:] == view.size_HW
        assert np.isfinite(prediction).all()
        if domain == "segmentation":
            assert prediction.max() < 12
        if domain == "albedo":
            assert prediction.min() >= 0
            assert prediction.max() <= 1
        for sense in backend.senses:
            label = label_of(domain, prediction, view.size_HW, sense)
            assert label.pixels_CHW.dtype == np.uint8
            assert label.pixels_CHW.shape == ((1 if domain == "depth" else 3), *view.size_HW)
            assert label.reason in ("", "facing away", "flat")


def test_annotator_vitpose(tmp_path):
    paths = {"model": tiny_models.vitpose(tmp_path / "pose"), "detector": tiny_models.rt_detr(tmp_path / "detector")}
    _, predict = built("openpose", "vitpose", paths, threshold=0.01)
    for view, people in zip(VIEWS, predict(VIEWS), strict=True):
        assert people.shape[1:] == (18, 3)
        assert len(people) > 0  # a random detector sees something at this threshold
        label = label_of("openpose", people, view.size_HW, Sense())
        assert label.scores["people"] <= len(people)
    _, careful = built("openpose", "vitpose", paths, threshold=0.99)
    label = label_of("openpose", careful(VIEWS)[0], VIEWS[0].size_HW, Sense())
    assert (label.pixels_CHW, label.reason, label.scores) == (None, "nobody", {"people": 0})
    paths["detector"] = tiny_models.rt_detr(tmp_path / "chairs", ("table", "chair"))
    with pytest.raises(ModelError, match="must know the class person"):
        built("openpose", "vitpose", paths)


def test_annotator_segmentation_of_other_classes_is_refused(tmp_path):
    folder = tiny_models.segformer(tmp_path / "city", {0: "road", 1: "sidewalk", 2: "building"})
    with pytest.raises(ModelError, match=r"knows 3 classes \(road, sidewalk, building, \.\.\.\), not ADE20K's 150"):
        built("segmentation", "ade20k", {"model": folder})


def test_annotator_of_another_kind_of_model_is_one_line(tmp_path):
    folder = tiny_models.segformer(tmp_path / "model")
    for domain, name in (("depth", "depth_estimation"), ("normal", "marigold"), ("albedo", "rgb2x")):
        with pytest.raises(ModelError) as caught:
            built(domain, name, {"model": folder}, **({"steps": 1} if domain != "depth" else {}))
        assert f"{domain} backend {name}" in str(caught.value)
        assert "\n" not in str(caught.value)
    generative = tiny_models.latent(tmp_path / "lotus-g", 8)
    with pytest.raises(ModelError, match="has 8 input channels, needed are 4"):
        built("depth", "lotus", {"model": generative})


def test_annotator_informative_drawings(tmp_path):
    torch.manual_seed(0)
    torch.save(Generator().state_dict(), tmp_path / "netG_A_latest.pth")
    _, predict = built("lineart", "informative_drawings", {"model": tmp_path / "netG_A_latest.pth"})
    for view, drawn in zip(VIEWS, predict(VIEWS), strict=True):
        assert drawn.shape == view.size_HW
        assert 0 <= drawn.min() < drawn.max() <= 1
    names = list(Generator().state_dict())
    assert len(names) == 2 * (1 + 2 + 6 + 2 + 1)  # weights and biases; instance norms have none
    assert {"model0.1.weight", "model1.3.bias", "model2.2.conv_block.5.weight", "model3.0.weight"} < set(names)
    torch.save({"other": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"other\.pth holds another network: 25 of its weights differ, first model0"):
        built("lineart", "informative_drawings", {"model": tmp_path / "other.pth"})
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="cannot be read as weights"):
        built("lineart", "informative_drawings", {"model": tmp_path / "broken.pth"})


def test_annotator_pidinet(tmp_path):
    """The file of the authors has 3 x 3 kernels everywhere, under a leading `module.`."""
    torch.manual_seed(0)
    differences = kinds()
    state = {}
    for name, weight in PiDiNet().state_dict().items():
        shape = (*weight.shape[:2], 3, 3) if differences.get(name) == "radial" else weight.shape
        state[f"module.{name}"] = torch.randn(shape) * 0.1
    torch.save({"state_dict": state, "epoch": 19}, tmp_path / "table5_pidinet.pth")
    _, predict = built("edge", "pidinet", {"model": tmp_path / "table5_pidinet.pth"})
    for view, edges in zip(VIEWS, predict(VIEWS), strict=True):
        assert edges.shape == view.size_HW
        assert 0 <= edges.min() < edges.max() <= 1
    assert [differences[f"{name}.weight"] for name in ("init_block", "block1_1.conv1", "block1_2.conv1")] == [
        *("central", "angular", "radial")
    ]


def test_annotator_pixel_differences():
    """Each kernel gives the sum of weights times the differences that the paper's figure 4 draws."""
    torch.manual_seed(0)
    weight = torch.randn(1, 1, 3, 3, dtype=torch.float64)
    patch = torch.randn(5, 5, dtype=torch.float64)
    inner, w = patch[1:4, 1:4], weight[0, 0]

    def answer(kind):
        kernel = plain_kernel(weight, kind)[0, 0]
        return float((kernel * (patch if len(kernel) == 5 else inner)).sum())

    assert answer("plain") == pytest.approx(float((w * inner).sum()))
    assert answer("central") == pytest.approx(float((w * (inner - inner[1, 1])).sum()))
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    following = dict(zip(ring, ring[1:] + ring[:1], strict=True))
    assert answer("angular") == pytest.approx(sum(float(w[at] * (inner[at] - inner[following[at]])) for at in ring))
    places = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    outer = [(0, 0), (0, 2), (0, 4), (2, 0), (2, 4), (4, 0), (4, 2), (4, 4)]
    order = [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]  # the first weight is not used
    near = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2), (3, 3)]
    assert len(places) == 8
    expected = sum(float(w[at] * (patch[far] - patch[by])) for at, far, by in zip(order, outer, near, strict=True))
    assert answer("radial") == pytest.approx(expected)
