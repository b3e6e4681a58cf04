"""Scores of pictures that are there: rows for all, shards and keys of the run, resumed, selected, degraded."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from processes import TESTS, published
from skimage import data

from genir import ranks
from genir.config.base import load
from genir.config.score import Score
from genir.errors import ConfigError, PlanError, ShardError
from genir.jobs.score import dry_run, score
from genir.jobs.score.launch import Launch
from genir.jobs.select import select
from genir.jobs.status import status
from genir.sources import open_source

SIGNAL = "gates={face: null, quality: {}, signal: {min_std: 20, max_laplacian: 3000}, hash: true}"


def config(source, *overrides):
    return load(Score, None, [f"source={json.dumps(str(source))}", SIGNAL, "device=cpu", *overrides])


def rows(stage):
    return [row for path in sorted(stage.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def photographs(folder):
    """Two pictures, one of them a second time as a JPEG, a flat one, one that is cut and one that is tiny."""
    folder.mkdir()
    coffee = Image.fromarray(data.coffee())
    coffee.save(folder / "a.png")
    coffee.resize((450, 300)).save(folder / "b.jpg", quality=60)
    Image.fromarray(data.chelsea()).save(folder / "c.png")
    Image.new("RGB", (200, 200), (90, 90, 90)).save(folder / "d.png")
    (folder / "e.png").write_bytes((folder / "a.png").read_bytes()[:5000])
    Image.fromarray(data.coffee()[:20, :20]).save(folder / "f.png")
    return folder


def test_photographs_are_scored_selected_and_taken(tmp_path):
    folder, run = photographs(tmp_path / "photos"), tmp_path / "scored"
    assert score(config(folder, f"run={run}")) == 0
    table = rows(run / "score_scores")
    assert [(row["source"], row["verdict"], row["reason"]) for row in table] == [
        ("a.png", "kept", ""),
        ("b.jpg", "kept", ""),
        ("c.png", "kept", ""),
        ("d.png", "rejected", "signal.std"),
        ("e.png", "error", "error:ImageError"),
        ("f.png", "error", "error:ImageError"),
    ]
    assert (table[0]["height"], table[0]["width"], table[0]["synthetic"]) == (400, 600, False)
    assert "20x20 pixels" in table[5]["error"]
    found = status(str(run / "score_scores"))
    assert (found.code, found.summary.done, found.summary.kept) == (0, 6, 3)

    list(select(str(run), ["name=all"]))
    assert [one.reason for one in open_source(f"{run}#all").originals(0, 6)][:3] == ["", "", ""]
    lines = list(select(str(run), ["name=distinct", "duplicates=near"]))
    source = open_source(f"{run}#distinct")
    reasons = [one.reason for one in source.originals(0, 6)]
    assert reasons == ["", "similar:000000000", "", "signal.std", "error:ImageError", "error:ImageError"]
    assert any("similar 1" in line for line in lines)
    assert np.array_equal(source.originals(2, 3)[0].read()[0], data.chelsea().transpose(2, 0, 1))

    (folder / "g.png").write_bytes((folder / "c.png").read_bytes())
    with pytest.raises(PlanError, match="holds other files than were scored"):
        open_source(f"{run}#all")


def test_a_run_is_scored_in_its_own_shards_and_grows(dummy):
    job = {"prompts": 20, "shard_size": 8, "batch": 4, "sizes": [[64, 80]]}
    dummy.run("made", limit=12, **job)
    made = dummy.folder / "made"
    (made / "config.yaml").write_text(yaml.safe_dump({"gates": {"face": None, "signal": None, "quality": {}}}))
    assert score(config(made)) == 0
    assert len(rows(made / "score_scores")) == 12
    dummy.run("made", **job)
    assert score(config(made)) == 0
    table, images = rows(made / "score_scores"), rows(made / "image")
    assert [row["key"] for row in table] == [row["key"] for row in images]
    names = sorted(path.name for path in (made / "image").glob("*.done"))
    assert sorted(path.name for path in (made / "score_scores").glob("*.done")) == names
    for row, image in zip(table, images, strict=True):
        if image["verdict"] == "kept":
            assert row["pixels_sha256"] == image["pixels_sha256"]
            assert row["signal_std"] > 40  # noise
            assert row["reason"] == "signal.laplacian"
        else:
            assert (row["reason"], row["signal_std"]) == (image["reason"], None)

    lines = list(select(str(made), ["gates.signal.min_std=1"]))
    chosen = pq.read_table(made / "selections" / "default.parquet").to_pylist()
    expected = ["kept" if image["verdict"] == "kept" else "undecidable" for image in images]
    assert [row["verdict"] for row in chosen] == expected
    assert any(line.startswith("undecidable signal.std") for line in lines)


def test_two_workers_and_a_kill_give_the_same_tables(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(24):
        Image.fromarray(data.coffee()[number : number + 300, number : number + 500]).save(folder / f"{number}.png")
    assert score(config(folder, f"run={tmp_path}/one", "shard_size=6", "batch=2")) == 0
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(yaml.safe_load(SIGNAL.replace("gates=", "gates: ", 1))))
    command = ["-m", "genir", "score", str(tmp_path / "c.yaml"), f"source={folder}", f"run={tmp_path}/two"]
    command += ["shard_size=6", "batch=2", "device=cpu"]

    def start(rank):
        env = {**os.environ, "PYTHONPATH": str(TESTS.parent), "RANK": str(rank), "WORLD_SIZE": "2"}
        return subprocess.Popen([sys.executable, *command], env=env, stderr=subprocess.PIPE, text=True)

    workers = [start(rank) for rank in range(2)]
    stage = tmp_path / "two" / "score_scores"
    while not list(stage.glob("*.done")) and any(worker.poll() is None for worker in workers):
        time.sleep(0.005)
    workers[0].send_signal(signal.SIGKILL)
    for worker in workers:
        worker.communicate(timeout=120)
    assert score(config(folder, f"run={tmp_path}/two", "shard_size=6", "batch=2")) == 0
    assert published(stage) == published(tmp_path / "one" / "score_scores")


def test_other_thresholds_on_a_stage_are_refused_with_the_way_out(tmp_path):
    folder, run = photographs(tmp_path / "photos"), tmp_path / "scored"
    score(config(folder, f"run={run}"))
    with pytest.raises(PlanError, match=r"gates\.signal\.min_std: 20\.0 -> 30\.0; every score is stored: genir select"):
        score(config(folder, f"run={run}", "gates.signal.min_std=30"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "run is not set, and source .* is no genir run: say where the scores go"),
        (["run=s3://a/b"], "scores are made of local files"),
        (["run=here", "gates={face: null, signal: null, quality: {}}"], "gates: none is set"),
        (["run=here", "name=a/b"], "name = .a/b"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(tmp_path, overrides, message, monkeypatch):
    folder = photographs(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        list(dry_run(config(folder, *overrides)))
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_near_duplicate_needs_hashes(dummy):
    dummy.run("made", prompts=8)
    made = dummy.folder / "made"
    (made / "config.yaml").write_text(yaml.safe_dump({"gates": {"face": None, "signal": None, "quality": {}}}))
    with pytest.raises(ConfigError, match=r"duplicates=near: no table .* holds phash; .*score_duplicates\.yaml"):
        list(select(str(made), ["duplicates=near"]))


@pytest.mark.parametrize("name", ["photographs", "duplicates"])
def test_the_configs_that_travel_with_genir_load(name):
    assert isinstance(load(Score, f"configs/score_{name}.yaml"), Score)


def test_a_quarantined_shard_is_not_said_to_be_with_others(tmp_path):
    folder, run = photographs(tmp_path / "photos"), tmp_path / "scored"
    asked = config(folder, f"run={run}", "shard_size=4")
    stage = run / "score_scores"
    stage.mkdir(parents=True)
    launch = Launch(asked, ranks.worker())
    launch.open()
    (stage / "000001.quarantined").touch()
    with pytest.raises(ShardError, match=r"all is done but shard 000001, quarantined: .* delete .*/\*\.quarantined"):
        score(asked)
    assert len(rows(stage)) == 4
    (stage / "000001.quarantined").unlink()
    assert score(asked) == 0
    assert len(rows(stage)) == 6
