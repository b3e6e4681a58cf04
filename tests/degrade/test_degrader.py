"""A degrader is a function of pixels, seed, key and epoch, and its record makes the same picture again."""

import json

import numpy as np
import pytest
import torch

from genir.config.degradation import Degradation
from genir.degrade import NAMES, Degrader, preset
from genir.degrade.degrader import enlarged, sharpened
from genir.errors import ConfigError, ImageError

SHA256 = {
    "bicubic": "6a5dc212562b26594833d9c41493abedba3a65307752ca107046b1dad48f35f9",
    "light": "edfad7ba04bd8e59072bd4623b02a4393c8f3a46e745bc490c7cd492313ab4bb",
    "bsrgan": "9ea5c600bd53b4e91c374d3b291440605a4b55d58cb36d276f101cc7b0ab398b",
    "realesrgan": "320126cd1e5635c01b86ccaafebb98463374559c9fd119a3e2d9a046a8d535eb",
    "seesr": "280faa8da9155ab9ef2cf767cfb5ac9271dc08e57305aaf6884cea14ab1ca7b8",
    "dreamclear": "91f98f841c996dbf364739b8804961474cd457927eb4225708a2c4527459be83",
}


def small(name, crop=None, patch=None):
    facts = preset(name).model_dump()
    return Degradation.model_validate(facts | {"crop": crop, "patch": patch})


@pytest.mark.parametrize("name", NAMES)
def test_a_named_preset_never_changes(name):
    assert preset(name).sha256 == SHA256[name], "a changed preset needs a new name"


@pytest.mark.parametrize("name", NAMES)
def test_batch_order_and_company_change_nothing(name, photograph):
    degrade = Degrader(small(name), seed=5)
    images = [photograph, photograph[:, :200, :], photograph[:, :, :120]]
    together = degrade(images, ["000000001", "000000002", "000000003"])
    torch.manual_seed(9)
    for image, key, pair in zip(
        reversed(images), ["000000003", "000000002", "000000001"], reversed(together), strict=True
    ):
        (alone,) = Degrader(small(name), seed=5)([image], [key])
        assert np.array_equal(alone.lq_CHW, pair.lq_CHW)
        assert alone.recipe == pair.recipe
        assert pair.lq_CHW.shape == (3, image.shape[1] // 4, image.shape[2] // 4)
        assert pair.lq_CHW.dtype == np.uint8


def test_seed_key_and_epoch_each_matter(photograph):
    made = [
        Degrader("realesrgan", seed)([photograph.repeat(2, 1).repeat(2, 2)], [key], epoch)[0].lq_CHW
        for seed, key, epoch in [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]
    ]
    assert len({pixels.tobytes() for pixels in made}) == 4


def test_neighbours_differ_in_everything(photograph):
    """Status quo tools draw sizes, modes, kinds of noise and the last order once a batch."""
    pairs = Degrader(small("dreamclear"), 2)([photograph] * 24, [str(i) for i in range(24)])
    orders = {tuple(step["op"] for step in pair.recipe.steps) for pair in pairs}
    assert len(orders) >= 8
    assert len({tuple(pair.recipe.steps[2]["size"]) for pair in pairs}) >= 15


@pytest.mark.parametrize("name", NAMES)
def test_the_record_makes_the_same_picture(name, photograph):
    degrade = Degrader(small(name, crop=128), 1)
    (pair,) = degrade([photograph], ["000000007"])
    steps = json.loads(json.dumps(pair.recipe.steps))
    again = degrade.replay(photograph, type(pair.recipe)(pair.recipe.crop, pair.recipe.patch, steps))
    assert np.array_equal(again.numpy(), pair.lq_CHW)


def test_the_ground_truth_is_the_original(photograph):
    before = photograph.copy()
    degrade = Degrader(small("realesrgan", crop=160, patch=96))
    for key in map(str, range(8)):
        (pair,) = degrade([photograph], [key])
        cut = pair.recipe.patch
        assert np.array_equal(
            pair.hq_CHW, photograph[:, cut.top : cut.top + cut.height, cut.left : cut.left + cut.width]
        )
        assert pair.hq_CHW.shape == (3, 96, 96)
        assert pair.lq_CHW.shape == (3, 24, 24)
    assert np.array_equal(photograph, before)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_a_pair_is_aligned(photograph, scale):
    """Bicubic LQs of random crops and patches show what is in the HQ, to the pixel."""
    facts = small("bicubic").model_dump() | {"scale": scale, "crop": 200, "patch": 128}
    for key in map(str, range(4)):
        (pair,) = Degrader(Degradation.model_validate(facts))([photograph], [key])
        assert pair.hq_CHW.shape[1] == pair.lq_CHW.shape[1] * scale
        means = pair.hq_CHW.reshape(3, pair.lq_CHW.shape[1], scale, pair.lq_CHW.shape[2], scale).mean((2, 4))
        here = np.abs(means - pair.lq_CHW).mean()
        shifted = np.abs(means[:, 1:] - pair.lq_CHW[:, :-1]).mean()
        assert here < 0.5 * shifted


def test_crops_are_everywhere(photograph):
    degrade = Degrader(small("bicubic", crop=280))
    tops = {degrade.recipe(str(i), 0, (288, 320)).crop.top for i in range(200)}
    assert tops == set(range(9))


def test_a_picture_smaller_than_the_crop_is_refused(photograph):
    with pytest.raises(ImageError, match="288x320 pixels are less than the crop of 1024; lower it"):
        Degrader("dreamclear")([photograph], ["a"])


def test_unknown_presets_are_named():
    with pytest.raises(ConfigError, match="'realesgan': no such preset; there are bicubic, light, bsrgan"):
        Degrader("realesgan")


def test_a_file_is_a_preset_too(tmp_path, photograph):
    file = tmp_path / "mine.yaml"
    file.write_text("scale: 2\nblocks: [{kind: defocus, radius: [2, 2]}, {kind: webp, p: 0.5, quality: [5, 5]}]\n")
    pairs = Degrader(str(file))([photograph] * 8, [str(i) for i in range(8)])
    assert {pair.lq_CHW.shape for pair in pairs} == {(3, 144, 160)}
    assert {tuple(s["op"] for s in pair.recipe.steps) for pair in pairs} == {
        ("blur", "resize"),
        ("blur", "webp", "resize"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blocks: [{kind: blurr}]", "blurr"),
        ("blocks: [{kind: gaussian, sigma: [9, 2]}]", "9.0 is above 2.0: nothing lies between"),
        ("blocks: [{kind: blur, kernels: {iso: 1}}]", "expected either sigma or variance"),
        ("blocks: [{kind: shuffle, keep_order: [3], blocks: []}]", "keep_order"),
        ("blocks: []\npatch: 64", "patch 64 needs a crop"),
        ("blocks: [{kind: resize, factor: [1.2, 2]}]", "does not contain 1"),
    ],
)
def test_mistakes_are_one_line(tmp_path, text, message):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        preset(str(file))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_codec_for_all_jpegs():
    def codecs(value):
        if isinstance(value, dict):
            return ({value["codec"]} if "codec" in value else set()).union(*map(codecs, value.values()))
        return set().union(*map(codecs, value)) if isinstance(value, list) else set()

    assert codecs(preset("dreamclear").model_dump(mode="json")) == {"diffjpeg"}
    assert codecs(preset("dreamclear").with_codec("libjpeg").model_dump(mode="json")) == {"libjpeg"}


def test_sharpened_ground_truth_and_enlarged_lq(photograph):
    sharp = sharpened(preset("dreamclear"), photograph)
    assert sharp.shape == photograph.shape
    assert np.abs(np.diff(sharp.astype(float))).mean() > np.abs(np.diff(photograph.astype(float))).mean()
    assert enlarged(photograph[:, :20, :30], 4).shape == (3, 80, 120)
