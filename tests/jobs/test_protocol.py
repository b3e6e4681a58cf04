"""A published manifest makes the same pairs again, and says so where it cannot."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data

from genir.config.base import load
from genir.config.degrade import Degrade
from genir.errors import ConfigError
from genir.jobs.degrade import degrade, pixels_sha256, protocol


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    monkeypatch.setitem(protocol.PROTOCOLS, "dreamclear", ("light.yaml", 7))
    monkeypatch.chdir(tmp_path)
    blocks = "scale: 4\ncrop: 64\nblocks:\n  - {kind: blur, sigma: [0.5, 2]}\n  - {kind: gaussian, sigma: [2, 9]}\n"
    (tmp_path / "light.yaml").write_text(blocks)
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(data.coffee()[number * 90 : number * 90 + 90, :120]).save(folder / f"{number}.png")
    Image.fromarray(data.coffee()[:50, :50]).save(folder / "small.png")
    return folder


def make(photographs, run, name="dreamclear", *overrides):
    changes = [f"input={photographs}", f"run={run}", "device=cpu", *overrides]
    return degrade(load(Degrade, "configs/degrade_dreamclear.yaml", changes), name)


def test_others_make_the_same_pairs(photographs, tmp_path):
    assert make(photographs, tmp_path / "one") == 0
    published = tmp_path / "one" / "protocol.jsonl"
    lines = [json.loads(line) for line in published.read_text().splitlines()]
    assert (lines[0]["pairs"], lines[0]["pictures"], len(lines)) == (7, 3, 9)
    assert [line["source"] for line in lines[1:-1]] == [f"{number % 3}.png" for number in range(7)]
    crops = [tuple(line["crop"]) for line in lines[1:-1]]
    assert len(set(crops)) > 4
    rows = [row for path in (tmp_path / "one/lq").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert [row["verdict"] for row in rows] == ["kept"] * 7
    assert [(row["top"], row["left"]) for row in rows] == [crop[:2] for crop in crops]
    assert [json.loads(row["steps"]) for row in rows] == [line["steps"] for line in lines[1:-1]]

    (photographs / "another.png").write_bytes((photographs / "0.png").read_bytes())  # moves the numbers of the files
    assert make(photographs, tmp_path / "two", str(published), "seed=5") == 0
    assert (tmp_path / "two" / "protocol.jsonl").read_bytes() == published.read_bytes()
    assert pixels_sha256(tmp_path / "two") == pixels_sha256(tmp_path / "one")


def test_the_same_command_resumes(photographs, tmp_path):
    make(photographs, tmp_path / "parts", "dreamclear", "limit=4")
    make(photographs, tmp_path / "parts")
    make(photographs, tmp_path / "whole")
    assert pixels_sha256(tmp_path / "parts") == pixels_sha256(tmp_path / "whole")


def test_other_pixels_become_errors(photographs, tmp_path):
    make(photographs, tmp_path / "one")
    changed = np.array(Image.open(photographs / "1.png"))
    changed[0, 0] ^= 1
    Image.fromarray(changed).save(photographs / "1.png")
    make(photographs, tmp_path / "two", str(tmp_path / "one" / "protocol.jsonl"))
    rows = [row for path in (tmp_path / "two/lq").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert [row["reason"] for row in rows] == ["", "error:ImageError", "", "", "error:ImageError", "", ""]
    assert "other pixels than the protocol's" in rows[1]["error"]


def test_what_cannot_be_used(photographs, tmp_path):
    make(photographs, tmp_path / "one")
    published = tmp_path / "one" / "protocol.jsonl"
    with pytest.raises(ConfigError, match="no such protocol; there are dreamclear"):
        make(photographs, tmp_path / "x", "div2k")
    with pytest.raises(ConfigError, match="a protocol says itself how many"):
        make(photographs, tmp_path / "x", "dreamclear", "epochs=2")
    (tmp_path / "cut.jsonl").write_text(published.read_text().replace('"crop":[', '"crop":[1', 1))
    with pytest.raises(ConfigError, match="do not have the hash"):
        make(photographs, tmp_path / "x", str(tmp_path / "cut.jsonl"))
    (photographs / "2.png").unlink()
    with pytest.raises(ConfigError, match=r"1 of its pictures are not in the input, first '2\.png'"):
        make(photographs, tmp_path / "x", str(published))
    assert not (tmp_path / "x").exists()
