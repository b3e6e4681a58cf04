"""Pairs of a run: real processes, real kills, and the record that makes every LQ again."""

import json
import logging
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from processes import TESTS, published
from skimage import data

from genir import images
from genir.config.base import load
from genir.config.degrade import Degrade
from genir.dataset import DegradedDataset
from genir.degrade import Degrader
from genir.degrade.degrader import Cut, Recipe
from genir.errors import ConfigError, GenirError, ImageError, PlanError
from genir.jobs.degrade import degrade, dry_run
from genir.jobs.degrade.launch import Launch
from genir.jobs.status import status
from genir.ranks import Worker
from genir.sources import open_source

CONFIG = "configs/degrade_realesrgan.yaml"
WHOLE = ["degradation.crop=null", "degradation.patch=null", "device=cpu"]


@pytest.fixture
def made(dummy):
    dummy.run("made", prompts=24, shard_size=8, batch=4, sizes=[[96, 112]])
    return dummy.folder / "made"


def config(source, run, *overrides):
    return load(Degrade, CONFIG, [f"input={json.dumps(str(source))}", f"run={run}", *WHOLE, *overrides])


def start(source, run, *overrides, environment=None):
    command = ["-m", "genir", "degrade", CONFIG, f"input={json.dumps(str(source))}", f"run={run}", *WHOLE, *overrides]
    env = {**os.environ, "PYTHONPATH": str(TESTS.parent), "OMP_NUM_THREADS": "1", **(environment or {})}
    return subprocess.Popen(
        [sys.executable, *command], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def rows(run):
    return [row for file in sorted((run / "lq").glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def members(run):
    found = {}
    for path in sorted((run / "lq").glob("*.tar")):
        with tarfile.open(path) as file:
            found |= {info.name: file.extractfile(info).read() for info in file}
    return found


def test_pairs_of_a_run(made, tmp_path):
    assert degrade(config(made, tmp_path / "pairs", "epochs=2", "store.hq_usm=true", "store.sr_bicubic=true")) == 0
    source = {one.key: one for one in open_source(str(made)).originals(0, 24)}
    table, files = rows(tmp_path / "pairs"), members(tmp_path / "pairs")
    assert len({row["key"] for row in table}) == 24
    names = sorted(path.name for path in (made / "image").glob("*.done"))
    assert sorted(path.name for path in (tmp_path / "pairs" / "lq").glob("*.done")) == names
    degrader = Degrader(Launch(config(made, tmp_path / "pairs", "epochs=2"), Worker()).degradation)
    for row in table:
        original = source[row["key"]]
        assert (row["reason"], row["prompt"]) == (original.reason, original.text)
        if row["verdict"] != "kept":
            assert row["epoch"] is None
            continue
        assert row["synthetic"] is True
        hq_CHW, _ = original.read()
        name = f"{row['key']}_{row['epoch']}"
        lq_CHW = images.decode(files[f"{name}.lq.png"])
        assert np.array_equal(images.decode(files[f"{name}.hq.png"]), hq_CHW)
        assert not np.array_equal(images.decode(files[f"{name}.hq_usm.png"]), hq_CHW)
        assert images.decode(files[f"{name}.sr_bicubic.png"]).shape == hq_CHW.shape
        assert lq_CHW.shape == (3, row["lq_height"], row["lq_width"]) == (3, 24, 28)
        assert images.pixels_sha256(lq_CHW) == row["lq_sha256"]
        assert images.read_marked(Path(name), files[f"{name}.lq.png"])[1]
        facts = json.loads(files[f"{name}.json"])
        assert facts["steps"] == json.loads(row["steps"])
        assert facts["synthetic"] is True
        assert files[f"{name}.txt"].decode() == original.text
        cut = Cut(row["crop_top"], row["crop_left"], row["crop_height"], row["crop_width"])
        again = degrader.replay(hq_CHW, Recipe(cut, cut, facts["steps"]))
        assert np.array_equal(again.numpy(), lq_CHW)
    kept = [row for row in table if row["verdict"] == "kept"]
    assert len({row["lq_sha256"] for row in kept}) == len(kept) == 2 * len({row["key"] for row in kept})
    found = status(str(tmp_path / "pairs"))
    assert (found.code, found.summary.done, found.summary.kept) == (0, 24, len(kept) // 2)
    assert (tmp_path / "pairs" / "preview.png").stat().st_size > 10_000


def test_on_the_fly_gives_what_the_job_stores(made, tmp_path):
    wanted = config(made, tmp_path / "pairs", "epochs=2", "seed=7")
    degrade(wanted)
    files = members(tmp_path / "pairs")
    dataset = DegradedDataset(str(made), Launch(wanted, Worker()).degradation, seed=7)
    for epoch in (1, 0):
        dataset.set_epoch(epoch)
        for index in range(len(dataset)):
            item = dataset[index]
            assert np.array_equal(item["lq"].numpy(), images.decode(files[f"{item['key']}_{epoch}.lq.png"]))


def test_three_workers_and_a_kill_give_the_same_bytes(made, tmp_path):
    degrade(config(made, tmp_path / "one", "epochs=3"))
    killed = tmp_path / "three"
    ranks = [{"RANK": str(rank), "WORLD_SIZE": "3", "LOCAL_RANK": str(rank)} for rank in range(3)]
    workers = [start(made, killed, "epochs=3", environment=environment) for environment in ranks]
    journals = killed / "lq"
    while not any(path.stat().st_size for path in journals.glob("*.journal")) and any(
        w.poll() is None for w in workers
    ):
        time.sleep(0.005)
    workers[0].send_signal(signal.SIGKILL)
    workers[1].send_signal(signal.SIGTERM)
    for worker in workers:
        worker.communicate(timeout=120)
    assert workers[0].returncode == -signal.SIGKILL
    assert degrade(config(made, killed, "epochs=3")) == 0
    assert published(killed) == published(tmp_path / "one")


def test_a_run_that_grows(dummy, tmp_path, caplog):
    caplog.set_level(logging.INFO, "genir")
    dummy.run("made", prompts=24, shard_size=8, batch=4, sizes=[[96, 112]], limit=12)
    made = dummy.folder / "made"
    degrade(config(made, tmp_path / "pairs"))
    assert "12 more pictures of the input's plan are not made yet" in caplog.text
    assert [row["key"] for row in rows(tmp_path / "pairs")] == [f"{i:09d}" for i in range(12)]
    dummy.run("made", prompts=24, shard_size=8, batch=4, sizes=[[96, 112]])
    degrade(config(made, tmp_path / "pairs"))
    degrade(config(made, tmp_path / "whole"))
    assert rows(tmp_path / "pairs") == rows(tmp_path / "whole")
    assert members(tmp_path / "pairs") == members(tmp_path / "whole")


def test_bad_pictures_become_rows(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(data.chelsea()).save(folder / "a.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:5000])
    Image.fromarray(data.chelsea()[:40, :40]).save(folder / "c.png")
    degrade(config(folder, tmp_path / "pairs", "degradation.crop=128"))
    table = rows(tmp_path / "pairs")
    assert [(row["source"], row["reason"]) for row in table] == [
        ("a.png", ""),
        ("b.png", "error:ImageError"),
        ("c.png", "error:ImageError"),
    ]
    assert "40x40 pixels are less than the crop of 128" in table[2]["error"]
    assert sorted(members(tmp_path / "pairs")) == [f"000000000.{end}" for end in ("hq.png", "json", "lq.png", "txt")]
    assert table[0]["synthetic"] is False
    assert not images.read_marked(Path("lq.png"), members(tmp_path / "pairs")["000000000.lq.png"])[1]


def test_another_degradation_is_another_run(made, tmp_path):
    degrade(config(made, tmp_path / "pairs", "limit=4"))
    degrade(config(made, tmp_path / "pairs", "limit=8"))  # growth
    with pytest.raises(PlanError, match=r"is another run: degradation\.scale: 4 -> 2"):
        degrade(config(made, tmp_path / "pairs", "degradation.scale=2"))
    with pytest.raises(PlanError, match="holds pairs, not images"):
        open_source(str(tmp_path / "pairs"))


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (
            ["degradation.crop=400"],
            ImageError,
            "96x112 pixels are less than the crop of 400; lower it (degradation.crop=",
        ),
        (["degradation.crop=64", "degradation.patch=96"], ConfigError, "patch 96 needs a crop of that side at least"),
        (["degradation=lite"], ConfigError, "'lite': no such preset; there are bicubic, light"),
        (["degradation=bicubic", "store.hq_usm=true"], ConfigError, "store.hq_usm: the degradation bicubic has no usm"),
        (["input=/none"], ConfigError, "input /none: no such run, folder or tar"),
        (["batch=64"], ConfigError, ""),
        (["degradation.scale=5"], ConfigError, "degradation.scale = 5"),
        (["run=s3://bucket/pairs"], ConfigError, "pairs are written to a local folder"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(made, tmp_path, overrides, error, message):
    if overrides == ["batch=64"]:  # a whole run is whole batches, whatever their size
        assert degrade(config(made, tmp_path / "pairs", *overrides)) == 0
        return
    with pytest.raises(GenirError) as caught:
        degrade(config(made, tmp_path / "pairs", *overrides))
    assert type(caught.value) is error
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "pairs").exists()


def test_a_dry_run_writes_nothing(made, tmp_path):
    lines = list(dry_run(config(made, tmp_path / "pairs", "degradation=light")))
    assert lines[2].startswith("degradation light (")
    assert not (tmp_path / "pairs").exists()


@pytest.mark.parametrize("file", sorted(Path("configs").glob("degrade_*.yaml")), ids=lambda path: path.name)
def test_the_configs_that_travel_with_genir_load(file):
    assert isinstance(load(Degrade, file), Degrade)
