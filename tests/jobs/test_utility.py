"""Sets are compared by what a restorer learns from them: equal sets are equal, trainings resume, mistakes are told."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from processes import TESTS
from skimage import data

from genir.config.base import load
from genir.config.utility import Utility
from genir.errors import ConfigError, ImageError, PlanError
from genir.jobs import utility as job
from genir.jobs.utility import dry_run, utility
from genir.jobs.utility.compare import by_photograph, interval

SMALL = [
    "training={steps: 3, batch: 2}",
    "restorer={channels: 4, blocks: 1}",
    "metrics=[psnr_y, piqe]",
    "decides=psnr_y",
    "degradation={preset: bicubic, crop: 32}",
    "test.side=64",
    "test.crops=1",
    "sizes=[2, 4]",
    "seeds=2",
    "device=cpu",
]


@pytest.fixture
def folder(tmp_path):
    """Two sets of pictures, one of them flat, and three photographs for the test."""
    coffee = Image.fromarray(data.coffee())
    for number in range(6):
        tile = coffee.crop((70 * number, 60, 70 * number + 64, 124))
        for name, pixels in (("sharp", tile), ("flat", tile.resize((4, 4)).resize((64, 64)))):
            (tmp_path / name).mkdir(exist_ok=True)
            pixels.save(tmp_path / name / f"{number}.png")
    (tmp_path / "test").mkdir()
    for name, pixels in (("cat", data.chelsea()), ("brick", data.brick()), ("rocket", data.rocket())):
        Image.fromarray(pixels).convert("RGB").resize((128, 128)).save(tmp_path / "test" / f"{name}.png")
    return tmp_path


def config(folder, *overrides):
    places = [f"sets.{name}={folder / name}" for name in ("sharp", "flat")]
    return load(Utility, None, [f"run={folder}/out", *places, f"test.source={folder}/test", *SMALL, *overrides])


def cells(root):
    return {path.name: path.read_bytes() for path in sorted((root / "cells").glob("*.parquet"))}


def test_table_differences_growth_and_resume(folder, monkeypatch):
    extra = [f"sets.twin={folder}/sharp", "compare=[[sharp, flat], [sharp, twin]]"]
    code, table = utility(config(folder, *extra))
    assert code == 0
    summary = json.loads((folder / "out" / "summary.json").read_text())
    assert summary["photographs"] == 3
    assert summary["differences"]["4 pictures"]["sharp - twin"]["psnr_y"] == {"value": 0, "low": 0, "high": 0}
    column = summary["columns"]["2 pictures"]
    assert {name: one["seeds"] for name, one in column.items()} == {"sharp": 2, "flat": 2, "twin": 2}
    gap = summary["differences"]["2 pictures"]["sharp - flat"]["psnr_y"]
    assert gap["value"] == pytest.approx(column["sharp"]["psnr_y"]["value"] - column["flat"]["psnr_y"]["value"])
    assert gap["low"] <= gap["value"] <= gap["high"]
    for words in (
        "| bicubic | 0 |",
        "*psnr_y* ↑",
        "piqe ↓†",
        "circular",
        "sharp - twin: psnr_y +0.0000",
        "# 4 pictures",
    ):
        assert words in table
    assert (folder / "out" / "utility.png").read_bytes()[:4] == b"\x89PNG"

    before = cells(folder / "out")
    assert len(before) == 1 + 2 * 2 * 3
    gone = next(name for name in before if name.startswith("flat-4-1"))
    (folder / "out" / "cells" / gone).unlink()
    assert utility(config(folder, *extra)) == (0, table)
    assert cells(folder / "out") == before
    utility(config(folder, *extra, "seeds=3", "sizes=[2]"))
    assert before.items() <= cells(folder / "out").items()
    with pytest.raises(PlanError, match=r"training\.steps: 3 -> 4"):
        utility(config(folder, *extra, "training.steps=4"))

    class Stop:
        name, asked = "SIGTERM", 0

        def __call__(self):
            self.asked += 1
            return self.asked > 5

    monkeypatch.setattr(job.ranks, "StopSignal", Stop)
    assert utility(config(folder, *extra, f"run={folder}/stopped")) == (75, "")
    monkeypatch.undo()
    assert 0 < len(cells(folder / "stopped")) < len(before)
    assert utility(config(folder, *extra, f"run={folder}/stopped")) == (0, table)


@pytest.mark.slow
def test_a_killed_process_loses_its_training_and_nothing_else(folder):
    utility(config(folder))
    places = [f"sets.{name}={folder / name}" for name in ("sharp", "flat")]
    command = ["-m", "genir", "utility", "configs/utility_small.yaml", *places, f"test.source={folder}/test", *SMALL]
    env = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    process = subprocess.Popen([sys.executable, *command, f"run={folder}/killed"], env=env, stderr=subprocess.PIPE)
    while len(list((folder / "killed" / "cells").glob("*.parquet"))) < 2 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(cells(folder / "killed")) < len(cells(folder / "out"))
    utility(config(folder, f"run={folder}/killed"))
    assert cells(folder / "killed") == cells(folder / "out")


def test_equal_cost_takes_what_the_budget_buys(folder):
    stats = folder / "sharp" / "stats"
    stats.mkdir()
    facts = {"heartbeat": 0, "ended": True, "judged": 6, "kept": 6, "seconds": 12.0, "host": "h", "pid": 1}
    (stats / "a.json").write_text(json.dumps(facts))
    lines = list(dry_run(config(folder, "costs.flat=4", "budgets=[8]", "sizes=[]")))
    assert "8 s         sharp 4, flat 2" in lines


def test_intervals_are_of_photographs_and_seeds():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 1)) * 0.3 + rng.normal(size=(1, 40)) + 2
    value, low, high = interval(values)
    assert value == pytest.approx(values.mean())
    expected = (values.mean(1).std() ** 2 / 5 + values.mean(0).std() ** 2 / 40) ** 0.5
    assert (high - low) / (2 * 1.96) == pytest.approx(expected, rel=0.1)
    rows = [{"photograph": name, "x": value} for name, value in (("b", 1.0), ("a", 4.0), ("b", 3.0))]
    assert by_photograph([rows, rows], "x").tolist() == [[4.0, 2.0], [4.0, 2.0]]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["sizes=[7]"], r"sets\.sharp: has 6 pictures, and the column '7 pictures' takes 7; change"),
        (["compare=[[sharp, none]]"], "none: named in costs or compare, but no set"),
        (["decides=piqe"], "decides piqe: expected a full-reference metric"),
        (["decides=ssim"], "decides ssim: expected a full-reference metric that is among the metrics"),
        (["sets.bicubic=x"], "choose another name, the untrained row"),
        (["sets.sharp=nowhere"], "nowhere: no such run, folder or tar"),
        (["degradation.preset=none"], "degradation 'none': no such preset"),
        (["sizes=[]"], "sizes and budgets are empty"),
        (["test.source=null"], "required: a folder, run or tars of photographs that no set contains"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(folder, overrides, message):
    with pytest.raises(ConfigError, match=message):
        list(dry_run(config(folder, *overrides)))
    assert not (folder / "out").exists()


def test_a_crop_larger_than_the_pictures_is_one_line_that_names_one(folder):
    with pytest.raises(ImageError, match=r"\.png: 64x64 pixels are less than the crop of 96"):
        utility(config(folder, "degradation.crop=96"))
    with pytest.raises(ConfigError, match=r"test\.source \S+\.png: .* are less than a crop of 999; .* test\.side"):
        utility(config(folder, "test.side=999", f"run={folder}/other"))


def test_the_config_that_travels_with_genir_loads():
    assert load(Utility, "configs/utility_small.yaml", ["sets.a=x", "test.source=y"]).seeds == 5
