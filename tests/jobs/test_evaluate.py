"""Sets side by side: pairs by name, gaps with reasons, one decode, kill and resume, distances, categories."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from processes import TESTS, published
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from genir import images
from genir.config.base import load
from genir.config.degrade import Degrade
from genir.config.evaluate import Evaluate
from genir.errors import ConfigError, ExtraError, PlanError
from genir.jobs.degrade import degrade
from genir.jobs.evaluate import dry_run, evaluate

CHEAP = ["metrics=[psnr, ssim_y, piqe]", "device=cpu"]
SIDE = 64


def config(folder, *overrides):
    return load(Evaluate, None, [f"run={folder}/out", *CHEAP, *overrides])


def rows(stage):
    return {row["source"]: row for path in sorted(stage.glob("*.parquet")) for row in pq.read_table(path).to_pylist()}


@pytest.fixture
def folder(tmp_path):
    """Twelve references in two categories, and blurred versions of them as `restored`."""
    picture = Image.fromarray(data.astronaut())
    for number in range(12):
        name = f"{'ab'[number % 2]}/{number:02d}"
        left, top = number * 24, number * 30
        tile = picture.crop((left, top, left + SIDE, top + SIDE))
        for side, pixels in (("gt", tile), ("restored", tile.resize((32, 32)).resize((SIDE, SIDE)))):
            (tmp_path / side / name).parent.mkdir(parents=True, exist_ok=True)
            pixels.save(tmp_path / side / f"{name}.{'png' if side == 'gt' else 'bmp'}")
    return tmp_path


def test_pairs_of_folders(folder):
    code, table = evaluate(config(folder, f"sets.ours={folder}/restored", f"reference={folder}/gt", "crop_border=2"))
    assert code == 0
    found = rows(folder / "out" / "ours")
    assert list(found)[:2] == ["a/00.bmp", "a/02.bmp"]
    for name, row in found.items():
        one, other = (np.asarray(Image.open(folder / side)) for side in (f"restored/{name}", f"gt/{name[:-3]}png"))
        wanted = peak_signal_noise_ratio(other[2:-2, 2:-2], one[2:-2, 2:-2])
        assert row["psnr"] == pytest.approx(wanted, abs=1e-4)
        assert (row["verdict"], row["category"], row["height"]) == ("kept", name[0], SIDE)
    summary = json.loads((folder / "out" / "summary.json").read_text())
    ours = summary["sets"]["ours"]
    assert ours["metrics"]["psnr"]["mean"] == pytest.approx(np.mean([row["psnr"] for row in found.values()]))
    by_category = ours["by_category"]
    assert by_category["a"]["images"] == by_category["b"]["images"] == 6
    assert np.mean([by_category[name]["psnr"] for name in "ab"]) == pytest.approx(ours["metrics"]["psnr"]["mean"])
    assert summary["metrics"]["piqe"]["better"] == "lower"
    assert (summary["metrics"]["psnr"]["crop_border"], summary["metrics"]["piqe"]["crop_border"]) == (2, 0)
    assert "psnr" not in summary["sets"]["reference"]["metrics"]
    scene = summary["features"]["scene"]
    assert len(scene["weights_sha256"]["scene features 1"]) == 64
    near = scene["sets"]["ours"]
    assert (near["images"], near["reference_images"], near["paired"]) == (12, 12, True)
    assert near["kernel_distance"] > near["kernel_distance_standard_error"] > 0
    for words in ("psnr ↑", "piqe ↓", "lower is better", "scene features 1", "# ours by category"):
        assert words in table
    assert "FID" not in table
    assert (folder / "out" / "table.md").read_text() == table


def test_gaps_are_rows_with_their_reason(folder):
    restored = folder / "restored"
    (restored / "a/00.bmp").write_bytes((restored / "a/00.bmp").read_bytes()[:3000])
    Image.open(restored / "a/02.bmp").resize((SIDE, 60)).save(restored / "a/02.bmp")
    (restored / "a/04.bmp").rename(restored / "a/other.bmp")
    (folder / "gt/a/06.png").write_bytes(b"no picture")
    tiny = Image.new("RGB", (8, 8))
    tiny.save(restored / "a/08.bmp")
    tiny.save(folder / "gt/a/08.png")
    code, table = evaluate(config(folder, f"sets.ours={restored}", f"reference={folder}/gt"))
    found = rows(folder / "out" / "ours")
    told = {name: (row["verdict"], row["reason"]) for name, row in found.items() if row["verdict"] != "kept"}
    assert told == {
        "a/00.bmp": ("error", "error:ImageError"),
        "a/02.bmp": ("rejected", "size of the reference"),
        "a/other.bmp": ("rejected", "no reference"),
        "a/06.bmp": ("error", "error:ImageError"),
    }
    assert found["a/02.bmp"]["error"] == "60x64 pixels (height x width), its reference has 64x64"
    assert found["a/06.bmp"]["error"].startswith("reference: ImageError")
    small = found["a/08.bmp"]
    assert (small["psnr"], small["ssim_y"], small["piqe"]) == (100.0, None, None)
    assert small["error"] == "ssim: 8x8 pixels (height x width), but 11 is the smallest side"
    summary = json.loads((folder / "out" / "summary.json").read_text())["sets"]["ours"]
    assert (summary["images"], summary["metrics"]["psnr"]["images"], summary["metrics"]["piqe"]["images"]) == (8, 8, 7)
    assert "1 not measured: no reference" in table
    assert "- ours: 4 of 12 references have no picture here that was measured" in table
    scene = json.loads((folder / "out" / "summary.json").read_text())["features"]["scene"]["sets"]["ours"]
    assert (scene["images"], scene["reference_images"]) == (7, 7), "what is too small for the network has no features"
    assert code == 0


def test_a_pairs_run_is_its_lq_against_its_hq(folder):
    degrade(load(Degrade, None, [f"input={folder}/gt", f"run={folder}/pairs", "degradation=bicubic", "device=cpu"]))
    evaluate(config(folder, f"sets.lq={folder}/pairs", f"sets.again={folder}/pairs", f"reference={folder}/pairs"))
    lq, again = (rows(folder / "out" / name) for name in ("lq", "again"))
    assert lq == again
    assert len(lq) == 12
    assert all(18 < row["psnr"] < 45 for row in lq.values())
    reference = rows(folder / "out" / "reference")
    assert [row["pixels_sha256"] for row in reference.values()] == [
        images.pixels_sha256(np.asarray(Image.open(path)).transpose(2, 0, 1)) for path in sorted(folder.glob("gt/*/*"))
    ]
    code, _ = evaluate(config(folder, f"run={folder}/alone", f"sets.lq={folder}/pairs"))
    assert code == 0
    assert {name: row["psnr"] for name, row in rows(folder / "alone" / "lq").items()} == {
        name: row["psnr"] for name, row in lq.items()
    }


def test_order_batches_and_a_kill_change_nothing(folder):
    sets = [f"sets.ours={folder}/restored", f"reference={folder}/gt", "shard_size=4", "batch=2"]
    evaluate(config(folder, *sets))
    command = ["-m", "genir", "evaluate", "configs/evaluate_pairs.yaml", *CHEAP, *sets, f"run={folder}/killed"]

    def start(rank):
        env = {**os.environ, "PYTHONPATH": str(TESTS.parent), "RANK": str(rank), "WORLD_SIZE": "2"}
        return subprocess.Popen([sys.executable, *command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    workers = [start(rank) for rank in range(2)]
    stage = folder / "killed" / "ours"
    while not list(stage.glob("*.done")) and any(worker.poll() is None for worker in workers):
        time.sleep(0.005)
    workers[0].send_signal(signal.SIGKILL)
    for worker in workers:
        worker.communicate(timeout=150)
    code, table = evaluate(config(folder, *sets, f"run={folder}/killed"))
    assert code == 0
    assert published(stage) == published(folder / "out" / "ours")
    assert table == (folder / "out" / "table.md").read_text()

    evaluate(config(folder, *sets[:2], f"run={folder}/other", "shard_size=12", "batch=5"))
    first, second = (rows(folder / name / "ours") for name in ("out", "other"))
    for name, row in first.items():
        for metric in ("psnr", "ssim_y", "piqe"):
            assert second[name][metric] == pytest.approx(row[metric], rel=1e-5)


@pytest.mark.parametrize(
    ("overrides", "kind", "message"),
    [
        ([], ConfigError, "sets is required"),
        (["sets.a=gt"], ConfigError, r"metrics psnr, ssim_y: compare with a reference, and sets\.a has none"),
        (["sets.a=gt", "reference=elsewhere"], ConfigError, r"no picture of gt has its name there \(such as 'a/00'"),
        (["sets.a=nowhere", "reference=gt"], ConfigError, "nowhere: no such run, folder or tar"),
        (["sets.a=gt", "metrics=[maniqa]"], ConfigError, "maniqa: no such metric; there are psnr, .* pyiqa:NAME"),
        (["sets.reference=gt", "reference=gt"], ConfigError, "choose another name"),
        (["sets.a=gt", "reference=twice"], ConfigError, "two pictures are called '0'"),
        (["sets.a=gt", "reference=gt", "features=[inception]"], ExtraError, r"pip install 'genir\[fid\]'"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(folder, overrides, kind, message, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    for place in ("elsewhere/x.png", "twice/0.png", "twice/0.bmp"):
        (folder / place).parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64)).save(folder / place)
    with pytest.raises(kind, match=message):
        list(dry_run(config(folder, *overrides)))
    assert not (folder / "out").exists()


def test_other_metrics_are_another_evaluation(folder):
    sets = [f"sets.ours={folder}/restored", f"reference={folder}/gt"]
    evaluate(config(folder, *sets, "features=[]", "metrics=[psnr]"))
    with pytest.raises(PlanError, match="metrics"):
        evaluate(config(folder, *sets, "features=[]", "metrics=[psnr, piqe]"))
    with pytest.raises(PlanError, match="crop_border: 0 -> 4"):
        evaluate(config(folder, *sets, "features=[]", "metrics=[psnr]", "crop_border=4"))


@pytest.mark.parametrize("name", ["pairs", "sets"])
def test_the_configs_that_travel_with_genir_load(name):
    assert isinstance(load(Evaluate, f"configs/evaluate_{name}.yaml", ["sets.a=x"]), Evaluate)
