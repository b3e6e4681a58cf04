"""The configuration of `genir prepare`: defaults, refusals, and what makes two runs the same run."""

import pytest

from genir.config.base import load
from genir.config.prepare import Prepare
from genir.errors import ConfigError

CHAT = "captions.chat={model: m, url: 'http://a/v1', key: KEY}"


def prepare(*overrides):
    return load(Prepare, None, ["images=photos", *overrides])


@pytest.mark.parametrize("name", ["prepare_embedded", "prepare_sdxl"])
def test_the_shipped_configs_are_read(name):
    config = load(Prepare, f"configs/{name}.yaml", [])
    assert (config.sdedit.strength, config.images) == (0.6, "photos")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["degraded_per_image=0", "sdedit=null"], "no negative would be made"),
        (["sdedit.template=good {caption}"], "expected {words}, and {caption} if you like"),
        (["sdedit.template='{words} {style}'"], "expected {words}, and {caption} if you like"),
        (["sdedit.template='{words} {'"], "expected {words}, and {caption} if you like"),
        (["sdedit.strength=0"], "sdedit.strength = 0: input should be greater than 0"),
        (["sdedit.strength=0.1", "sdedit.steps=5"], "strength 0.1 of 5 steps is no step; raise one of them"),
        (["run=s3://bucket/set"], "a training set is made in a local folder"),
        (["sdedit.words=some"], "input should be 'one', 'joined' or 'sampled'"),
        (["captions.chat={url: 'http://a'}"], "captions.chat.model is required"),
        (["images=null"], "images = null"),
        (["worse.metric=fid"], "worse.metric"),
    ],
)
def test_a_mistake_is_one_line(overrides, message):
    with pytest.raises(ConfigError) as caught:
        prepare(*overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_are_required():
    with pytest.raises(ConfigError, match="images is required"):
        load(Prepare, None, [])


@pytest.mark.parametrize(
    "growth", ["run=x", "images=moved", "limit=3", "device=cpu", "captions.chat.url=http://b/v1",
               "captions.chat.key=OTHER", "captions.chat.timeout=9", "captions.chat.tries=9",
               "captions.chat.parallel=9"],
)  # fmt: skip
def test_growth_is_no_meaning(growth):
    assert prepare(CHAT, growth).meaning() == prepare(CHAT).meaning()


@pytest.mark.parametrize(
    "meaning", ["seed=1", "model=other", "size=[64, 64]", "captions.column=c", "captions.chat.model=n",
                "captions.chat.instruction=i", "face.threshold=0.5", "degraded_per_image=2", "sdedit.strength=0.5",
                "sdedit.guidance.scale=2", "sdedit.words=one", "worse.margin=1", "batch=9", "shard_size=9"],
)  # fmt: skip
def test_all_else_is_meaning(meaning):
    assert prepare(CHAT, meaning).meaning() != prepare(CHAT).meaning()
