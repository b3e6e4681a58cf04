"""The configuration of `genir generate`: spellings, refusals, and what makes two runs the same run."""

import itertools
from typing import Any

import pytest
from pydantic import BaseModel

from genir.config.base import digest, load
from genir.config.gates import Gates
from genir.config.generate import Generate
from genir.config.shared import Lora, Model, Scheduler
from genir.errors import ConfigError

GROWTH = {"run", "limit", "target", "device", "guard", "keep_rejects", "offload_text_encoders", "speed.group_offload"}

# A second value for every field of the configuration, in the form in which it is dumped.
OTHERS: dict[str, Any] = {
    "run": "outputs/other",
    "seed": 1,
    "model.id": "some/model",
    "model.revision": "abc",
    "model.variant": "fp16",
    "model.dtype": "bfloat16",
    "model.vae": "some/vae",
    "model.config": "some/config",
    "model.scheduler": {"name": "EulerDiscreteScheduler", "timestep_spacing": "trailing"},
    "model.loras": [{"id": "a.safetensors", "weight": 0.5}],
    "model.attention": "sdpa",
    "model.chunks": 2,
    "dual": "embedded",
    "negative": "blurry",
    "prompts": ["prompts/other.txt"],
    "replicas": 2,
    "size": [[512, 512], [512, 768]],
    "hires": {"scale": 2.0, "upscaler": "latent"},
    "post": {"downscale": 2.0, "kernel": "area"},
    "crop": [448, 512],
    "weights": {"fur": 2.0},
    "steps": 29,
    "guidance.scale": 4.0,
    "guidance.start": 0.1,
    "guidance.end": 0.9,
    "guidance.delay": 0.2,
    "guidance.rescale": 0.7,
    "guidance.true_cfg": 2.0,
    "micro.original": [512, 512],
    "micro.crop": [0, 8],
    "micro.target": [512, 512],
    "micro.negative_original": [512, 512],
    "micro.negative_crop": [8, 0],
    "micro.negative_target": [512, 512],
    "batch": 8,
    "threads": 2,
    "shard_size": 64,
    "limit": 5,
    "target.kept": 5,
    "gates.score_only": True,
    "gates.face": None,
    "gates.hash": "true",
    "gates.face.threshold": 0.4,
    "gates.face.scales": [1.0, 2.0],
    "gates.face.long_side": 512,
    "gates.signal": None,
    "gates.signal.min_entropy": 4.0,
    "gates.signal.min_laplacian": 10.0,
    "gates.signal.max_laplacian": 9000.0,
    "gates.signal.max_flat": 0.5,
    "gates.signal.max_blockiness": 90.0,
    "gates.signal.min_std": 5.0,
    "gates.signal.max_clipped": 0.5,
    "gates.signal.short_side": 512,
    "gates.fault": {"max_saturated": 0.5},
    "gates.classifier": {"file": "a.safetensors"},
    "gates.person": {"model": "some/detector"},
    "gates.nsfw": {"threshold": 0.3},
    "gates.text": {"threshold": 0.6},
    "gates.judge": {"chat": {"model": "some/vlm"}, "max_privacy": 0.0},
    "gates.clip": {"model": "some/clip", "min": 0.2},
    "gates.quality": {"piqe": {"max": 50.0}, "niqe_96": {}},
    "keep_rejects.quality": "all",
    "image.format": "webp",
    "image.level": 2,
    "guard.min_keep": 0.0,
    "guard.after": 100,
    "speed.channels_last": True,
    "speed.fuse_projections": True,
    "speed.compile": True,
    "speed.step_cache": 0.05,
    "speed.decoder_tile": 512,
    "speed.group_offload": True,
    "offload_text_encoders": True,
    "device": "cpu",
}
CANNOT_CHANGE = {"keep_rejects.face"}  # has one value only


def leaves(model: BaseModel, prefix=""):
    """Dotted paths of every field; of a nested model also its fields."""
    for name in type(model).model_fields:
        value, path = getattr(model, name), prefix + name
        if isinstance(value, BaseModel):
            yield from leaves(value, path + ".")
        else:
            yield path


def is_growth(path):
    return path in GROWTH or path.partition(".")[0] in GROWTH


def changed(path, value):
    override = Generate().model_dump(mode="json")
    node = override
    *parents, last = path.split(".")
    for key in parents:
        node = node[key]
    node[last] = value
    return Generate.model_validate(override)


def test_every_field_has_a_second_value_in_this_file():
    # a new field fails here first: give it a value above, then decide below whether it is meaning or growth
    assert set(leaves(Generate())) - CANNOT_CHANGE <= set(OTHERS)


@pytest.mark.parametrize("path", OTHERS)
def test_meaning_changes_with_everything_but_growth(path):
    default, other = Generate(), changed(path, OTHERS[path])
    assert other != default
    is_same = digest(other.meaning()) == digest(default.meaning())
    assert is_same == is_growth(path)


def test_no_two_changes_have_one_digest():
    digests = [digest(changed(path, value).meaning()) for path, value in OTHERS.items()]
    growth = sum(is_growth(path) for path in OTHERS)
    assert len(set(digests)) == len(digests) - growth + 1


def test_meaning_survives_json_and_does_not_depend_on_the_order_of_keys():
    pairs = [("steps", 20), ("batch", 2), ("guidance", {"end": 0.5, "scale": 2}), ("gates", {"signal": None})]
    digests = {digest(Generate.model_validate(dict(order)).meaning()) for order in itertools.permutations(pairs)}
    assert len(digests) == 1
    config = changed("model.scheduler", OTHERS["model.scheduler"])
    assert Generate.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("spelling", "sizes"),
    [
        ("size=[64, 128]", ((64, 128),)),
        ("size=[[64, 128]]", ((64, 128),)),
        ("size=[[64, 128], [256, 64]]", ((64, 128), (256, 64))),
        ("size=['64', 128.0]", ((64, 128),)),
    ],
)
def test_sizes_in_all_spellings(spelling, sizes):
    assert load(Generate, None, [spelling]).size == sizes


def test_short_forms():
    config = load(
        Generate,
        None,
        [
            "model=some/model",
            "model.dtype=bfloat16",
            "model.scheduler=DDIMScheduler",
            "model.scheduler.rescale=true",
            "model.loras=[a.safetensors, {id: b, weight: 0.5}]",
            "prompts=mine.txt",
            "gates=score_only",
        ],
    )
    assert config.model == Model(
        id="some/model",
        dtype="bfloat16",
        scheduler=Scheduler(name="DDIMScheduler", rescale=True),  # pyright: ignore
        loras=(Lora(id="a.safetensors"), Lora(id="b", weight=0.5)),
    )
    assert config.model.scheduler is not None
    assert config.model.scheduler.options() == {"rescale": True}
    assert config.prompts == ("mine.txt",)
    assert config.gates == Gates(score_only=True)


def test_gates_can_be_left_out_one_by_one():
    gates = load(Generate, None, ["gates.face=null", "gates.quality={}"]).gates
    assert (gates.face, gates.signal, gates.quality) == (None, Gates().signal, {})


def test_signal_bounds_cover_every_threshold():
    names = [f"{side}_{check}" for check in Generate().gates.signal.bounds() for side in ("min", "max")]
    assert set(type(Generate().gates.signal).model_fields) - {"short_side"} <= set(names)


MISTAKES = [
    (
        ["size=64"],
        "override 'size=64': size = 64: expected [rows, columns] in pixels, a list of such pairs, or joint",
    ),
    (["size=64x64"], '"64x64": expected [rows, columns] in pixels, a list of such pairs, or joint'),
    (["size=[64]"], "override 'size=[64]': size.0.1 is required"),
    (["run=~nobody-here/a"], 'run = "~nobody-here/a": no such user\'s home directory; write the folder in full'),
    (["size=[64, 64, 64]"], "size.0 = [64, 64, 64]: tuple should have at most 2 items"),
    (["size=[[64, 64], 64]"], "size.1 = 64: expected a list"),
    (["size=[32, 64]"], "size.0.0 = 32: input should be greater than or equal to 64"),
    (["size=[64.5, 64]"], "size.0.0 = 64.5: input should be a valid integer"),
    (["size=[]"], "size = []: tuple should have at least 1 item"),
    (["prompts=[]"], "prompts = []: tuple should have at least 1 item"),
    (["gates=all"], 'gates = "all": expected a mapping of gates, score_only, or a file'),
    (["gates=null"], "gates = null: expected a mapping of keys to values"),
    (["image=png", "image.level=3"], 'image is "png", it has no keys; set image=... whole'),
    (["gates.face=true"], "gates.face = true: expected a mapping of keys to values"),
    (["gates.face.threshold=0"], "gates.face.threshold = 0: input should be greater than 0"),
    (["gates.face.treshold=0.1"], "unknown key gates.face.treshold; did you mean threshold?"),
    (
        ["gates.quality.niqe.max=5"],
        "gates.quality.niqe = \"niqe\": input should be 'piqe', 'niqe_32', 'niqe_96' or pyiqa:NAME",
    ),
    (["gates.quality.piqe={min: 5, max: 4}"], "min 5.0 is above max 4.0: nothing lies between"),
    (["gates.signal={min_laplacian: 9, max_laplacian: 1}"], "min_laplacian 9.0 is above max_laplacian 1.0"),
    (["guidance.start=0.9", "guidance.end=0.5"], "start 0.9 is after end 0.5"),
    (["guidance.scael=3"], "unknown key guidance.scael; did you mean scale?"),
    (["image.format=jpg"], "image.format = \"jpg\": input should be 'png' or 'webp'"),
    (["image.format=webp", "image.level=7"], "level 7 is for PNG; WebP has 0 to 6"),
    (["keep_rejects.face=all"], "keep_rejects.face = \"all\": input should be 'never'"),
    (["model=embedded", "model.dtpye=float16"], "unknown key model.dtpye; did you mean dtype?"),
    (["model.loras=[{id: a, wieght: 2}]"], "unknown key model.loras.0.wieght; did you mean weight?"),
    (["model.scheduler={}"], "override 'model.scheduler={}': model.scheduler.name is required"),
    (["target=5"], "target = 5: expected a mapping of keys to values"),
    (["limit=0"], "limit = 0: input should be greater than or equal to 1"),
    (["negative=blur: text"], 'negative = {"blur": "text"}: input should be a valid string'),
]


@pytest.mark.parametrize(("overrides", "message"), MISTAKES)
def test_a_mistake_is_one_line(overrides, message):
    with pytest.raises(ConfigError) as caught:
        load(Generate, None, overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_field_says_what_it_is_or_is_a_mapping_that_does():
    for name, field in Generate.model_fields.items():
        annotation = field.annotation
        assert field.description or (isinstance(annotation, type) and issubclass(annotation, BaseModel)), name


def test_a_path_may_begin_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    overrides = ["run=~/a", "model=~/sdxl", "model.vae=~/vae", "dual=~/d.safetensors", "prompts=[~/b.txt, c~.txt]"]
    config = load(Generate, None, overrides)
    assert (config.run, config.dual, config.prompts) == (
        "/home/me/a",
        "/home/me/d.safetensors",
        ("/home/me/b.txt", "c~.txt"),
    )
    assert (config.model.id, config.model.vae) == ("/home/me/sdxl", "/home/me/vae")


def test_the_buckets_of_joint_1_6m():
    sizes = load(Generate, None, ["size=joint-1.6m"]).size
    assert sizes is not None
    assert len(set(sizes)) == 15
    assert all(height % 32 == width % 32 == 0 for height, width in sizes)
    assert all(0.8 < height * width / 1024**2 < 1.01 for height, width in sizes)
    assert {(width, height) for height, width in sizes} >= {(1024, 1024), (512, 2048), (2048, 512), (768, 1152)}


def test_weights_and_crop_are_meaning():
    plain = load(Generate, None, [])
    for change in ("weights.fur=2", "crop=[64, 64]", "size=joint-1.6m"):
        assert load(Generate, None, [change]).meaning() != plain.meaning()


@pytest.mark.parametrize("name", ["embedded", "1024"])
def test_the_thresholds_that_travel_with_genir_load(name):
    gates = load(Generate, None, [f"gates=configs/gates_{name}.yaml", "gates.quality.piqe.max=60"]).gates
    assert gates.quality["piqe"].max == 60
    assert gates.face.threshold == 0.3
    assert len(gates.checks()) >= 5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hires={}", r"hires = \{\}: give one of scale \(such as 2\) and size"),
        ("hires={scale: 2, size: [128, 128]}", "give one of scale"),
        ("hires={scale: 1}", "hires.scale = 1: input should be greater than 1"),
        ("hires={scale: 2, strength: 0.01}", r"hires\.strength 0\.01 of 30 steps is no step; raise one of them"),
        ("post={}", "post.downscale is required"),
    ],
)
def test_second_passes_and_reductions_that_cannot_be(override, message):
    with pytest.raises(ConfigError, match=message):
        load(Generate, None, [override])


def test_a_step_cache_does_not_know_tiles():
    with pytest.raises(ConfigError, match=r"hires\.tile and speed\.step_cache: a step cache does not know one tile"):
        load(Generate, None, ["hires={scale: 2, tile: 64}", "speed.step_cache=0.05"])
