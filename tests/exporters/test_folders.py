"""Folder formats read back by their consumers' rules: every picture, every name, every caption."""

import json
from pathlib import Path

import numpy as np
import pytest
import readers
from exported import exported, pictures, rows, stored, tree

from genir import images as codec
from genir.degrade.degrader import enlarged


def same(found, expected):
    return found.keys() == expected.keys() and all(
        np.array_equal(one, other) if other is not None else one is None
        for name in expected
        for one, other in zip(found[name], expected[name], strict=False)
    )


@pytest.mark.parametrize(
    ("name", "reader"), [("basicsr", "basicsr_list"), ("basicsr", "two_folders"), ("realesrgan", "realesrgan")]
)
def test_pairs(pairs, tmp_path, name, reader):
    out = exported(pairs, tmp_path / "out", name)
    expected = pictures(pairs, "lq")
    assert len(expected) > 40
    assert same(getattr(readers, reader)(out), expected)


@pytest.mark.parametrize(("name", "reader"), [("basicsr", "basicsr_list"), ("realesrgan", "realesrgan")])
def test_images_without_lqs(images, tmp_path, name, reader):
    assert same(getattr(readers, reader)(exported(images, tmp_path / "out", name)), pictures(images, "image"))


def test_whole_pictures_are_the_runs_own_bytes_with_their_mark(pairs, tmp_path):
    out = exported(pairs, tmp_path / "out", "basicsr")
    for name, files in stored(pairs, "lq").items():
        for role, folder in (("hq", "gt"), ("lq", "lq")):
            data = (out / folder / f"{name}.png").read_bytes()
            assert data == files[f"{role}.png"]
            assert codec.read_marked(Path("x"), data)[1]


def test_path_lists(pairs, tmp_path):
    out = exported(pairs, tmp_path / "out", "paths")
    gt, lq = ((out / f"{role}.txt").read_text().splitlines() for role in ("gt", "lq"))
    found = {
        path.rpartition("/")[2][:-4]: (readers.pixels(path), readers.pixels(small))
        for path, small in zip(gt, lq, strict=True)
    }
    assert all(path.startswith(f"{tmp_path}/out/gt/") for path in gt)
    assert same(found, pictures(pairs, "lq"))


def test_no_name_has_a_dot_a_space_or_a_comma(pairs, tmp_path):
    out = exported(pairs, tmp_path / "out", "basicsr", "tile={size: 64, step: 32}")
    names = [path.removesuffix(".png").partition("/")[2] for path in tree(out) if path.endswith(".png")]
    assert len(names) > 200
    assert not any(set(name) & set("., -/") for name in names)


@pytest.mark.parametrize(("name", "text"), [("seesr", "tag"), ("dreamclear", "caption")])
def test_seesr_and_dreamclear(pairs, tmp_path, name, text):
    """The run stores no sr_bicubic: the export makes it."""
    found = readers.seesr(exported(pairs, tmp_path / "out", name), text)
    prompts = {row["key"]: row["prompt"] for row in rows(pairs, "lq")}
    expected = pictures(pairs, "lq")
    assert same({key: (gt, lr) for key, (gt, _, _, lr) in found.items()}, expected)
    for key, (gt, sr, words, lr) in found.items():
        assert np.array_equal(sr, enlarged(lr.transpose(2, 0, 1), 4).transpose(1, 2, 0))
        assert sr.shape == gt.shape
        assert words == prompts[key[:9]]


def test_dreamclear_with_t5(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("genir.backbone.t5.t5_features", lambda *_: lambda text: _features(text))
    found = readers.dreamclear(exported(pairs, tmp_path / "out", "dreamclear", "t5.id=some/t5", "t5.length=7"))
    assert len(found) == len(pictures(pairs, "lq"))
    for _, sr, caption, features in found.values():
        assert sr.shape == (96, 128, 3)
        assert features["caption_feature"].shape == (1, 7, 5)
        assert features["caption_feature"].dtype == np.float32
        assert features["attention_mask"].tolist() == [[len(caption)] * 7]


def _features(text):
    return np.zeros((1, 7, 5), np.float32), np.full((1, 7), len(text))


def test_jodi(images, tmp_path):
    found = readers.jodi(exported(images, tmp_path / "out", "jodi"))
    prompts = {row["key"]: row["prompt"] for row in rows(images, "image")}
    assert same({key: (image, None) for key, (image, _, _) in found.items()}, pictures(images, "image"))
    assert {key: caption for key, (_, caption, _) in found.items()} == {key: {"prompt": prompts[key]} for key in found}
    assert all(json.loads(line)["synthetic"] for line in (tmp_path / "out/metadata.jsonl").read_text().splitlines())
