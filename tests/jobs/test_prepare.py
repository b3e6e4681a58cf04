"""Photographs to a training set on the embedded model: real processes, real kills, a real (local) server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from fake_server import says, serving, status
from PIL import Image
from processes import TESTS
from skimage import data

from genir.config.base import load
from genir.config.prepare import Prepare
from genir.errors import ConfigError, GenirError, ModelError, PlanError, TrainSetError
from genir.jobs.prepare import prepare
from genir.jobs.prepare.launch import parse_caption
from genir.metrics.leak import LEAST

CONFIG = "configs/prepare_embedded.yaml"
SMALL = ["size=[64,64]", "sdedit.steps=2", "batch=2", "shard_size=4", "device=cpu"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight photographs without people, one of a person, one file that is no image."""
    folder = tmp_path_factory.mktemp("photos")
    pictures = [data.chelsea(), data.coffee(), data.rocket(), data.stereo_motorcycle()[0]]
    for number, picture in enumerate(pictures):
        for part, half in enumerate((picture[:, : picture.shape[1] // 2], picture[:, picture.shape[1] // 2 :])):
            Image.fromarray(half).save(folder / f"p{number}{part}.png")
            (folder / f"p{number}{part}.txt").write_text(f"photograph {number}, part {part}")
    Image.fromarray(data.astronaut()[:256, 100:356]).save(folder / "q_person.jpg")
    (folder / "r_broken.jpg").write_bytes(b"no image")
    return folder


def config(photos: Path, run: Path, *overrides: str) -> Prepare:
    return load(Prepare, CONFIG, [*SMALL, f"images={photos}", f"run={run}", *overrides])


def start(photos: Path, run: Path, *overrides: str) -> subprocess.Popen[str]:
    command = ["-m", "genir", "prepare", CONFIG, *SMALL, f"images={photos}", f"run={run}", *overrides]
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def content(run: Path) -> dict[str, bytes]:
    """Everything of the set and its tables, by name."""
    folders = (run / "train", run / "image")
    return {str(path.relative_to(run)): path.read_bytes() for folder in folders for path in folder.rglob("*.*")}


def metadata(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "train" / "metadata.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def alone(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("alone") / "run"
    assert prepare(config(photos, run)) == 0
    return run


def test_the_set_is_an_imagefolder_and_every_picture_is_what_its_row_says(alone: Path, photos: Path) -> None:
    rows = metadata(alone)
    names = {row["file_name"] for row in rows}
    assert names == {str(path.relative_to(alone / "train")) for path in (alone / "train").rglob("*.png")}
    assert len(names) == len(rows)
    for row in rows:
        with Image.open(alone / "train" / row["file_name"]) as picture:
            assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (row["width"], row["height"]))
            marked = "trainedAlgorithmicMedia" in str(picture.info)
        assert marked == row["synthetic"] == (row["origin"] != "photograph")
        assert row["text"] == (photos / row["source"]).with_suffix(".txt").read_text()
        assert row["pair"] in row["file_name"]
        assert "dropped" not in row
    positives = {(row["pair"], row["origin"]) for row in rows if row["role"] == "positive"}
    assert len(positives) == 8 * 3
    negatives = [row for row in rows if row["role"] == "negative"]
    assert {row["origin"] for row in negatives} >= {"photograph", "roundtrip"}
    assert all((row["pair"], row["origin"]) in positives for row in negatives)
    assert all(row["psnr"] < 34 for row in negatives if row["origin"] != "sdedit")


def test_the_positive_photograph_is_the_user_s(alone: Path, photos: Path) -> None:
    row = next(row for row in metadata(alone) if row["origin"] == "photograph" and row["role"] == "positive")
    with Image.open(photos / row["source"]) as source, Image.open(alone / "train" / row["file_name"]) as stored:
        side = min(source.size)
        left, top = (source.width - side) / 2, (source.height - side) / 2
        box = (left, top, left + side, top + side)
        expected = source.resize((64, 64), Image.Resampling.LANCZOS, box)
        assert np.abs(np.asarray(stored).astype(int) - np.asarray(expected)).max() <= 2


def test_every_photograph_is_a_row_and_the_summary_counts_them(alone: Path) -> None:
    rows = [row for path in sorted((alone / "image").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    assert [row["verdict"] for row in rows] == ["kept"] * 8 + ["rejected"] * 2
    assert [row["reason"] for row in rows][8:] == ["face", "undecodable"]
    summary = json.loads((alone / "summary.json").read_text())
    assert (summary["photographs"], summary["photographs_kept"]) == (10, 8)
    kept = metadata(alone)
    assert sum(summary["pictures"].values()) == len(kept)
    assert sum(summary["pairs"].values()) == sum(row["role"] == "negative" for row in kept)
    dropped = sum(tie["dropped"] for tie in summary["ties"].values())
    assert dropped + sum(summary["pairs"].values()) == sum(tie["of"] for tie in summary["ties"].values()) == 8 * 3
    assert summary["leak"]["roundtrip"] == {"auc": None, "photographs": 8}
    with Image.open(alone / "preview.png") as sheet:
        assert sheet.width > 6 * 192
    assert not any("q_person" in row["source"] for row in kept)


def test_a_killed_worker_s_work_is_gone_on_with_to_the_same_bytes(alone: Path, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    worker = start(photos, run)
    while not any(path.stat().st_size for path in (run / "image").glob("*.journal")):
        time.sleep(0.02)
        assert worker.poll() is None
    worker.kill()
    worker.communicate(timeout=60)
    assert worker.returncode == -signal.SIGKILL
    assert not (run / "train" / "metadata.jsonl").exists()
    assert prepare(config(photos, run)) == 0
    assert content(run) == content(alone)


@pytest.mark.slow
def test_two_workers_give_the_same_bytes(alone: Path, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    workers = [start(photos, run) for _ in range(2)]
    outputs = [worker.communicate(timeout=170)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs
    assert content(run) == content(alone)


def test_growth_gives_the_same_bytes_and_a_killed_end_is_made_up_for(alone: Path, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert prepare(config(photos, run, "limit=3")) == 0
    assert {row["pair"] for row in metadata(run)} == {f"{n:09d}" for n in range(4)}  # rounded up to a batch
    assert prepare(config(photos, run)) == 0
    assert content(run) == content(alone)
    (run / "train" / "metadata.jsonl").unlink()
    assert prepare(config(photos, run)) == 0
    assert content(run) == content(alone)


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["sdedit.strength=0.9"], "sdedit.strength: 0.6 -> 0.9"),
        (["worse.margin=1"], "worse.margin: 0.3 -> 1.0"),
        (["degraded_per_image=2"], "degraded_per_image: 1 -> 2"),
    ],
)
def test_a_changed_meaning_is_refused(alone: Path, photos: Path, overrides: list[str], text: str) -> None:
    with pytest.raises(PlanError, match="is another run") as caught:
        prepare(config(photos, alone, *overrides))
    assert text in str(caught.value)


def test_other_photographs_are_another_run(alone: Path, photos: Path, tmp_path: Path) -> None:
    for path in photos.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    prepare(config(tmp_path, alone))  # moved: the same
    (tmp_path / "p00.png").unlink()
    with pytest.raises(PlanError, match="images: "):
        prepare(config(tmp_path, alone))


def test_captions_come_from_a_server_where_there_is_no_text(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("p00.png", "p00.txt", "p10.png", "p20.png"):
        (folder / name).write_bytes((photos / name).read_bytes())
    acts = [status(500), says("I am sorry"), says('{"caption": "a cup,\\n a table"}')]
    with serving(*acts) as server:
        chat = f"captions.chat={{model: vl, url: '{server.url}', tries: 6, parallel: 1}}"
        assert prepare(config(folder, tmp_path / "run", "sdedit=null", chat)) == 0
        asked = len(server.requests)
    texts = {row["source"]: row["text"] for row in metadata(tmp_path / "run")}
    assert texts == {"p00.png": "photograph 0, part 0", "p10.png": "a cup, a table", "p20.png": "a cup, a table"}
    assert asked == 4, "two photographs, two bad answers"


def test_a_server_that_is_down_stops_the_run_and_records_nothing(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes((photos / "p00.png").read_bytes())
    with serving(status(503)) as server:
        chat = f"captions.chat={{model: vl, url: '{server.url}', tries: 1}}"
        with pytest.raises(ModelError, match="status 503"):
            prepare(config(tmp_path, tmp_path / "run", chat))
    assert not list((tmp_path / "run" / "image").glob("*.done"))


def test_photographs_that_are_all_dropped_are_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(data.astronaut()[:40, :40]).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("a small picture")
    for _ in range(2):  # the shards are finished the second time
        with pytest.raises(TrainSetError, match=r"none of 2 photographs is kept \(2 small\); take larger") as caught:
            prepare(config(folder, tmp_path / "run"))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "error", "text"),
    [
        (["images=/nowhere"], ConfigError, "images /nowhere: no such folder"),
        (["size=[100,64]"], ConfigError, "size [100, 64]: the model needs multiples of"),
        (["sdedit.quality=nowhere.txt"], GenirError, "nowhere.txt: no such prompt file"),
        (["worse.metric=niqe_96"], GenirError, "niqe_96"),
        (["captions.column=none", "images=UNDESCRIBED"], ConfigError, "has a text: put NAME.txt beside NAME.jpg"),
        (["model=/nowhere/sdxl"], ModelError, "/nowhere/sdxl"),
    ],
)
def test_what_cannot_work_is_refused_before_a_run_exists(
    photos: Path, tmp_path: Path, overrides: list[str], error: type[Exception], text: str
) -> None:
    folder = tmp_path / "undescribed"
    folder.mkdir()
    (folder / "a.png").write_bytes((photos / "p00.png").read_bytes())
    changed = [override.replace("UNDESCRIBED", str(folder)) for override in overrides]
    with pytest.raises(error) as caught:
        prepare(config(photos, tmp_path / "run", *changed))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_leak_test_sees_what_the_autoencoder_leaves(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(LEAST):
        y, x = divmod(number, 5)
        crop = data.coffee()[y * 64 : y * 64 + 130, x * 90 : x * 90 + 130]
        Image.fromarray(crop).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("a part of a table")
    overrides = ["sdedit=null", "face.threshold=0.9", "batch=8", "shard_size=32"]
    assert prepare(config(folder, tmp_path / "run", *overrides)) == 0
    leak = json.loads((tmp_path / "run" / "summary.json").read_text())["leak"]
    assert leak["roundtrip"]["photographs"] == LEAST
    assert leak["roundtrip"]["auc"] > 0.7
    assert leak["sdedit"] == {"auc": None, "photographs": 0}


def test_a_dry_run_says_what_would_be_made_and_writes_nothing(photos: Path, tmp_path: Path) -> None:
    worker = start(photos, tmp_path / "run", "--dry-run")
    lines, _ = worker.communicate(timeout=120)
    assert worker.returncode == 0, lines
    assert "captions    8 of 10 have a text, others are rejected" in lines
    assert "photographs 10 of 10" in lines
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "caption"),
    [('{"caption": " a  lake "}', "a lake"), ('```json\n{"caption": "x"}\n```', "x")],
)
def test_a_caption_is_found_in_an_answer(text: str, caption: str) -> None:
    assert parse_caption(text) == caption


@pytest.mark.parametrize(
    "text", ["", "I am sorry", '{"caption": "', '{"text": "a"}', '{"caption": ""}', f'{{"caption": "{"lake " * 300}"}}']
)
def test_what_is_no_caption_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"holds|lacks|has"):
        parse_caption(text)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
