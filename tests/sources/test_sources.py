"""Runs, folders and tars as sources: the same pictures, texts and marks, whatever they lie in."""

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data

from genir import images
from genir.dataset import DegradedDataset
from genir.errors import ConfigError, ImageError, PlanError
from genir.shards import reader
from genir.shards.files import ShardFiles
from genir.sources import open_source, taken
from genir.sources.open import SourcePlan


@pytest.fixture
def run(dummy):
    dummy.run("made", prompts=20, shard_size=8, batch=4, sizes=[[64, 80]])
    return dummy.folder / "made"


def picture(number):
    return np.ascontiguousarray(data.coffee()[number * 40 : number * 40 + 40, :60].transpose(2, 0, 1))


def tar(path, members):
    with tarfile.open(path, "w") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))


def test_a_run_keeps_keys_and_reasons(run):
    source = open_source(str(run))
    assert (source.n_tasks, source.available, source.shard_size, source.batch) == (20, 20, 8, 4)
    originals = source.originals(0, 20)
    rows = [row for shard in range(3) for row in reader.rows(ShardFiles.of(run / "image", shard, 3))]
    assert [one.key for one in originals] == [row["key"] for row in rows] == [f"{i:09d}" for i in range(20)]
    assert [one.reason for one in originals] == [row["reason"] for row in rows]
    assert {one.reason for one in originals} == {"", "signal.entropy"}
    for one, row in zip(originals, rows, strict=True):
        assert one.text == row["prompt"]
        if not one.reason:
            pixels_CHW, synthetic = one.read()
            assert images.pixels_sha256(pixels_CHW) == row["pixels_sha256"]
            assert synthetic
    assert [one.key for one in source.originals(7, 9)] == ["000000007", "000000008"]


def test_a_run_in_the_making_grows(dummy):
    dummy.run("made", prompts=20, shard_size=8, batch=4, limit=10)
    source = open_source(str(dummy.folder / "made"))
    assert (source.n_tasks, source.available) == (20, 12)
    assert [one.reason for one in source.originals(12, 20)] == ["not made yet"] * 8  # also of a shard that nobody began
    plan = SourcePlan(source, 4, 8)
    assert [len(batch) for batch in plan.batches(1)] == [4, 4]
    assert [one.reason for one in plan.batches(1)[1]] == ["not made yet"] * 4
    assert [SourcePlan(source, batch, 8).whole(12) for batch in (4, 3, 5, 8)] == [12, 11, 8, 8]
    dummy.run("made", prompts=20, shard_size=8, batch=4)
    grown = open_source(str(dummy.folder / "made"))
    assert grown.available == 20
    assert grown.identity == source.identity


def test_a_target_ends_a_run(dummy):
    dummy.run("made", prompts=24, shard_size=8, batch=4, reject="none")
    (dummy.folder / "made" / "goal.json").write_text('{"limit": null, "kept": 10}')
    assert open_source(str(dummy.folder / "made")).available == 16


@pytest.mark.parametrize("ending", ["txt", "parquet"])
def test_a_selection_of_a_run(run, tmp_path, ending):
    kept = [one.key for one in open_source(str(run)).originals(0, 20) if not one.reason]
    file = tmp_path / f"keys.{ending}"
    if ending == "txt":
        file.write_text("\n".join(kept[:3]))
    else:
        rows = [{"key": key, "verdict": "kept" if key in kept[:3] else "rejected"} for key in kept]
        pq.write_table(pa.Table.from_pylist(rows), file)
    originals = open_source(str(run), str(file)).originals(0, 20)
    assert [one.key for one in originals if not one.reason] == kept[:3]
    assert {one.reason for one in originals} == {"", "signal.entropy", "not selected"}


def test_a_folder_with_captions(tmp_path):
    for number in range(3):
        Image.fromarray(picture(number).transpose(1, 2, 0)).save(tmp_path / f"{'cab'[number]}.png")
    (tmp_path / "d.webp").write_bytes(images.encode(picture(3), "webp", 0, synthetic=True))
    (tmp_path / "e.png").write_bytes(images.encode(picture(3), "png", 0, synthetic=True))
    (tmp_path / "f.jpg").write_bytes(b"no image")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "b.png", "text": "a cup"}\n')
    source = open_source(str(tmp_path))
    originals = source.originals(0, 99)
    assert [one.name for one in originals] == ["a.png", "b.png", "c.png", "d.webp", "e.png", "f.jpg"]
    assert [one.text for one in originals] == ["", "a cup", "", "", "", ""]
    assert np.array_equal(originals[0].read()[0], picture(1))
    assert [one.read()[1] for one in originals[:5]] == [False, False, False, True, True]
    with pytest.raises(ImageError):
        originals[5].read()


def test_tars(tmp_path):
    png = [images.encode(picture(number), "png", 1, synthetic=number == 2) for number in range(5)]
    tar(tmp_path / "b.tar", {"x/01.png": png[0], "x/01.txt": b"one cup", "x/02.png": png[1]})
    tar(
        tmp_path / "a.tar",
        {
            "7.lq.png": png[4],
            "7.hq.png": png[2],
            "7.json": json.dumps({"prompt": "seven"}).encode(),
            "8.jpg": b"broken",
            "9.png": png[3],
            "9.json": json.dumps({"synthetic": True}).encode(),
            "10.txt": b"no picture",
        },
    )
    source = open_source(str(tmp_path))
    originals = source.originals(0, 9)
    assert [one.name for one in originals] == ["a/7", "a/8", "a/9", "b/x/01", "b/x/02"]
    assert [one.text for one in originals] == ["seven", "", "", "one cup", ""]
    assert [np.array_equal(originals[i].read()[0], picture(n)) for i, n in ((0, 2), (2, 3), (3, 0), (4, 1))] == [
        True
    ] * 4
    assert [originals[i].read()[1] for i in (0, 2, 3)] == [True, True, False]
    with pytest.raises(ImageError, match=r"8\.jpg"):
        originals[1].read()
    assert [one.name for one in open_source(str(tmp_path / "b.tar")).originals(0, 9)] == ["b/x/01", "b/x/02"]


def test_several_inputs_count_on(run, tmp_path):
    for number in range(3):
        Image.fromarray(picture(number).transpose(1, 2, 0)).save(tmp_path / f"{number}.png")
    source = open_source({"castles": str(run), "own": str(tmp_path)})
    assert (source.n_tasks, source.available, source.shard_size) == (23, 23, None)
    originals = source.originals(18, 22)
    assert [(one.key, one.name) for one in originals] == [
        ("000000018", "castles/000000018"),
        ("000000019", "castles/000000019"),
        ("000000020", "own/0.png"),
        ("000000021", "own/1.png"),
    ]


def test_behind_a_run_in_the_making_the_others_are_there_for_who_takes_what_is_there(dummy, tmp_path):
    dummy.run("made", prompts=20, shard_size=8, batch=4, limit=8, reject="none")
    for number in range(3):
        Image.fromarray(picture(number).transpose(1, 2, 0)).save(tmp_path / f"{number}.png")
    source = open_source({"castles": str(dummy.folder / "made"), "own": str(tmp_path)})
    assert (source.n_tasks, source.available) == (23, 8)  # numbered shards grow in order
    assert [int(one.key) for one in taken(source)] == [*range(8), 20, 21, 22]
    assert len(DegradedDataset({"castles": str(dummy.folder / "made"), "own": str(tmp_path)}, "light")) == 11


def test_what_is_no_source(tmp_path, dummy):
    with pytest.raises(ConfigError, match="no such run, folder or tar"):
        open_source(str(tmp_path / "none"))
    (tmp_path / "x.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(ConfigError, match=r"x\.tar: cannot be read as an uncompressed tar"):
        open_source(str(tmp_path / "x.tar"))
    with pytest.raises(ConfigError, match="belong to a genir run"):
        open_source(str(tmp_path), "keys.txt")
    root = dummy.folder / "empty"
    root.mkdir(parents=True)
    (root / "plan.json").write_text('{"tasks": 1, "shards": 1, "shard_size": 1, "digest": "", "meaning": {"batch": 1}}')
    with pytest.raises(PlanError, match="first shard is not finished"):
        open_source(str(root))
    (root / "plan.json").write_text("{}")
    with pytest.raises(PlanError, match="not the plan of a genir run"):
        open_source(str(root))
