"""`genir export`: options, growth, kills; what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import readers
from exported import config, exported, make_images, make_pairs, pictures, rows, tree
from PIL import Image
from processes import TESTS, forked

from genir import images as codec
from genir.errors import ConfigError, GenirError, PlanError, ShardError
from genir.jobs.export import dry_run, export
from genir.jobs.export.folder import ExportFolder
from genir.shards import selection

FORMATS = ["basicsr", "realesrgan", "paths", "lmdb", "seesr", "webdataset", "imagefolder", "parquet"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("runs") / "images")


@pytest.fixture(scope="module")
def pairs(images):
    return make_pairs(images, images.parent / "pairs", "degradation.scale=3", "store.hq_usm=false")


def start(source, out, name, *overrides):
    command = [
        "-m",
        "genir",
        "export",
        "configs/export_basicsr.yaml",
        f"input={source}",
        f"out={out}",
        f"format={name}",
    ]
    return subprocess.Popen(
        [sys.executable, *command, *overrides],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_tiles_of_pairs_are_cut_at_the_same_place(pairs, tmp_path):
    found = readers.two_folders(exported(pairs, tmp_path / "out", "basicsr", "tile={size: 48, step: 36}"))
    whole = pictures(pairs, "lq")
    corners = [(top, left) for top in (0, 36, 48) for left in (0, 36, 72, 78)]  # 96 x 126, the last ones at the border
    assert len(found) == len(corners) * len(whole)
    for name, (hq, lq) in whole.items():
        for number, (top, left) in enumerate(corners, 1):
            tile_hq, tile_lq = found[f"{name}_s{number:03d}"]
            assert np.array_equal(tile_hq, hq[top : top + 48, left : left + 48])
            assert np.array_equal(tile_lq, lq[top // 3 : top // 3 + 16, left // 3 : left // 3 + 16])


def test_reduced_copies_of_images(images, tmp_path):
    found = readers.basicsr_list(exported(images, tmp_path / "out", "basicsr", "multiscale=[0.75, 0.33]"))
    whole = pictures(images, "image")
    assert len(found) == 3 * len(whole)
    for name, (hq, _) in whole.items():
        assert np.array_equal(found[name][0], hq)
        for level, size in ((1, (72, 96)), (2, (32, 42))):
            reduced = Image.fromarray(hq).resize(size[::-1], Image.Resampling.LANCZOS)
            assert np.array_equal(found[f"{name}_m{level}"][0], np.asarray(reduced))


@pytest.mark.parametrize("by", ["prompt", "key"])
def test_a_split_holds_prompts_out(images, tmp_path, by):
    out = exported(images, tmp_path / "out", "basicsr", f"split={{val: 0.4, by: {by}}}")
    prompts = {row["key"]: row["prompt"] for row in rows(images, "image")}
    names = {split: readers.basicsr_list(out / split).keys() for split in ("train", "val")}
    assert names["train"] | names["val"] == pictures(images, "image").keys()
    assert not names["train"] & names["val"]
    assert 3 < len(names["val"]) < 20
    shared = {prompts[name] for name in names["train"]} & {prompts[name] for name in names["val"]}
    assert bool(shared) == (by == "key")
    told = json.loads((out / "export.json").read_text())["samples"]
    assert told == {split: len(names[split]) for split in names}


def test_only_what_is_selected(images, tmp_path):
    keys = sorted(pictures(images, "image"))[::3]
    (tmp_path / "keys.txt").write_text("\n".join(keys))
    out = exported(images, tmp_path / "out", "basicsr", f"keys={tmp_path}/keys.txt")
    assert sorted(readers.basicsr_list(out)) == keys


def test_a_selection_takes_what_the_run_rejected(tmp_path, caplog):
    run = tmp_path / "run"
    forked(run, prompts=16, shard_size=8, batch=4, sizes=[[24, 36]], keep_rejects=True)
    table = rows(run, "image")
    lost, found, *others = [row["key"] for row in table if row["verdict"] != "kept"]
    (run / "rejects" / "000000" / f"{lost}.png").unlink()
    taken = [row["key"] for row in table if row["key"] not in others][1:]
    choices = [(row["key"], "kept" if row["key"] in taken else "rejected", "") for row in table]
    digest = json.loads((run / "plan.json").read_text())["digest"]
    selection.write(selection.path_of(run, "loose"), [choices], digest, {"gates": {}})
    out = exported(f"{run}#loose", tmp_path / "out", "basicsr")
    assert sorted(readers.basicsr_list(out)) == [key for key in taken if key != lost]
    assert "1 selected images are left out: no pixels are stored" in caplog.text
    hashes = {row["key"]: row["pixels_sha256"] for row in table}
    pixels_CHW = readers.pixels(out / "gt" / f"{found}.png").transpose(2, 0, 1)
    assert codec.pixels_sha256(pixels_CHW) == hashes[found]
    assert codec.read_marked(out / "gt" / f"{found}.png")[1]


def test_a_target_leaves_the_surplus(tmp_path):
    forked(tmp_path / "run", prompts=24, shard_size=8, batch=4, target=10)
    kept = [row["key"] for row in rows(tmp_path / "run", "image") if row["verdict"] == "kept"]
    assert len(kept) > 10
    (tmp_path / "run" / "goal.json").write_text('{"limit": null, "kept": 10}')
    out = exported(tmp_path / "run", tmp_path / "out", "basicsr")
    assert sorted(readers.basicsr_list(out)) == kept[:10]
    first = json.loads((out / ".genir" / "000000.done").read_bytes())
    (tmp_path / "run" / "goal.json").write_text('{"limit": null, "kept": 11}')
    exported(tmp_path / "run", tmp_path / "out", "basicsr")
    assert sorted(readers.basicsr_list(out)) == kept[:11]
    assert json.loads((out / ".genir" / "000000.done").read_bytes()) == first, "a whole shard is not exported again"


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_that_grows(tmp_path, name):
    """First a run that a limit ended inside of a shard, then the whole: nothing of the first export is in the way."""
    options = {"prompts": 24, "shard_size": 8, "batch": 4, "sizes": [[24, 36]]}
    forked(tmp_path / "run", limit=12, **options)
    pairs = make_pairs(tmp_path / "run", tmp_path / "pairs")
    first = tree(exported(pairs, tmp_path / "out", name, "shards_per_file=2"))
    forked(tmp_path / "run", **options)
    make_pairs(tmp_path / "run", tmp_path / "pairs")
    grown = tree(exported(pairs, tmp_path / "out", name, "shards_per_file=2"))
    whole = tree(exported(pairs, tmp_path / "whole", name, "shards_per_file=2"))
    assert sum(map(len, first.values())) < sum(map(len, whole.values()))
    for path in [path for path in (*grown, *whole) if path.endswith((".mdb", "README.md"))]:
        grown.pop(path, None), whole.pop(path, None)
    assert {path: data.replace(b"/out/", b"/whole/") for path, data in grown.items()} == whole
    if name == "lmdb":
        for role in ("gt", "lq"):
            ours, theirs = (readers.lmdb(tmp_path / folder, role) for folder in ("out", "whole"))
            assert ours.keys() == theirs.keys()
            assert all(np.array_equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", ["seesr", "lmdb", "webdataset"])
def test_a_killed_export_goes_on(pairs, tmp_path, name):
    whole = tree(exported(pairs, tmp_path / "whole", name, "shards_per_file=1", "tile={size: 48, step: 12}"))
    out = tmp_path / "killed"
    process = start(pairs, out, name, "shards_per_file=1", "tile={size: 48, step: 12}")
    while process.poll() is None and not list((out / ".genir").glob("*.done")):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not [path for path in tree(out) if path.endswith((".tmp", "meta_info.txt"))]
    for path, data in tree(out).items():
        if path.endswith((".png", ".tar")):
            assert data == whole[path], path
    exported(pairs, out, name, "shards_per_file=1", "tile={size: 48, step: 12}")
    there, wanted = ({path: data for path, data in one.items() if path[-4:] != ".mdb"} for one in (tree(out), whole))
    assert there == wanted
    if name == "lmdb":
        ours, theirs = readers.lmdb(out, "gt"), readers.lmdb(tmp_path / "whole", "gt")
        assert all(np.array_equal(ours[key], theirs[key]) for key in theirs)
    assert not list((out / ".genir" / "scratch").iterdir())


def test_a_polite_stop_is_code_75(pairs, tmp_path):
    process = start(pairs, tmp_path / "out", "seesr", "tile={size: 48, step: 12}")
    while process.poll() is None and not list((tmp_path / "out/.genir").glob("*.done")):
        time.sleep(0.002)
    process.terminate()
    text, _ = process.communicate()
    assert process.returncode == 75, text
    assert "stopped by SIGTERM; the same command goes on from here" in text


def test_one_process_at_a_time(images, tmp_path):
    folder = ExportFolder(tmp_path / "out")
    with folder.opened({}), pytest.raises(ShardError, match="another genir export is at work there"):
        ExportFolder(tmp_path / "out").opened({}).__enter__()


def test_a_second_launch_has_nothing_to_do(pairs, tmp_path):
    out = exported(pairs, tmp_path / "out", "basicsr")
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    (out / "meta_info.txt").unlink()
    exported(pairs, out, "basicsr")
    assert times == {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert len(readers.basicsr_list(out)) == len(times) // 2


@pytest.mark.parametrize(
    ("kind", "name", "overrides", "error", "message"),
    [
        ("images", "seesr", [], ConfigError, "format seesr: wants pairs"),
        ("pairs", "jodi", [], ConfigError, "format jodi: wants images"),
        ("pairs", "basicsr", ["multiscale=[0.5]"], ConfigError, "multiscale: a reduced HQ needs an LQ of its own"),
        ("pairs", "basicsr", ["tile.size=64"], ConfigError, "multiples of their scale 3"),
        ("images", "jodi", ["tile.size=64"], ConfigError, "labels belong to whole pictures"),
        ("pairs", "basicsr", ["gt=hq_usm"], ConfigError, "make the pairs with store.hq_usm=true"),
        ("images", "basicsr", ["caption=BLIP2"], ConfigError, "has no such captions; there are: prompt"),
        ("images", "basicsr", ["keys=/none.txt"], ConfigError, "keys /none.txt: cannot be read"),
        ("images", "basicsr", ["t5.id=x"], ConfigError, "the format basicsr stores no T5 features"),
        ("images", "folders", [], ConfigError, "format = "),
        ("images", "basicsr", ["out=s3://x/y"], ConfigError, "exports are written to a local folder"),
        ("images", "basicsr", ["split.val=1.5"], ConfigError, "split.val = 1.5"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(request, tmp_path, kind, name, overrides, error, message):
    with pytest.raises(GenirError) as caught:
        export(config(request.getfixturevalue(kind), tmp_path / "out", name, *overrides))
    assert type(caught.value) is error
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_is_no_run_or_not_ours(images, tmp_path):
    with pytest.raises(PlanError, match="not the plan of a run"):
        export(config(tmp_path, tmp_path / "out", "basicsr"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_bytes(b"")
    with pytest.raises(PlanError, match="is there already and is no export of genir"):
        export(config(images, tmp_path / "mine", "basicsr"))
    exported(images, tmp_path / "out", "basicsr")
    with pytest.raises(PlanError, match=r'is another export: format: "basicsr" -> "paths"; choose another'):
        export(config(images, tmp_path / "out", "paths"))


def test_a_dry_run_writes_nothing(images, tmp_path):
    lines = dry_run(config(images, tmp_path / "out", "basicsr"))
    assert lines[1].endswith(f"{len(pictures(images, 'image'))} kept images in 5 finished shards")
    assert not (tmp_path / "out").exists()
