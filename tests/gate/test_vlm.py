"""A vision-language model as a gate, over a server on this machine: strict answers, asked again, remembered."""

import json

import numpy as np
import pytest
import yaml
from fake_server import says, serving, status
from PIL import Image
from skimage import data

from genir.config.base import load, resolve
from genir.config.calibrate import Calibrate
from genir.config.gates import Gates
from genir.config.score import Score
from genir.errors import ConfigError
from genir.gate.vlm import parse
from genir.jobs.calibrate import calibrate
from genir.jobs.score import score
from genir.jobs.select import select
from genir.sources import open_source

GOOD = {"semantic": "no", "privacy": "no", "nsfw": "no", "reason": "nothing"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def folder_of(folder, pictures):
    folder.mkdir()
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def scored(folder, run, server):
    chat = {"model": "vlm", "url": server.url, "tries": 2, "parallel": 1}
    judge = {"chat": chat, "max_privacy": 0, "max_nsfw": 0, "max_semantic": 0}
    gates = json.dumps({"face": None, "signal": None, "quality": {}, "judge": judge})
    assert score(load(Score, None, [f"source={folder}", f"run={run}", f"gates={gates}", "device=cpu"])) == 0
    return run


def three(folder):
    return folder_of(folder, [data.coffee()[:64, :64], data.chelsea()[:64, :64], data.rocket()[:64, :64]])


def test_answers_become_columns_and_are_asked_once(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    person = says(json.dumps({**GOOD, "privacy": "Yes", "reason": "a face\nin the mirror"}))
    folder = three(tmp_path / "photos")
    with serving(says("nice picture"), says(json.dumps(GOOD)), says(json.dumps(GOOD)), person) as server:
        run = scored(folder, tmp_path / "run", server)
        assert len(server.requests) == 4
        content = server.requests[0][2]["messages"][0]["content"]
        assert "contradict common sense" in content[0]["text"]
        assert content[1]["image_url"]["url"].startswith("data:image/png;base64,")
        scored(folder, tmp_path / "again", server)
        assert len(server.requests) == 4, "answers are remembered by the image"
    list(select(str(run), ["name=s"]))
    reasons = [one.reason for one in open_source(f"{run}#s").originals(0, 3)]
    assert sorted(reasons) == ["", "", "judge.privacy"]
    list(select(str(run), ["name=t", "gates.judge.max_privacy=null"]))
    kept = [one.reason for one in open_source(f"{run}#t").originals(0, 3)]
    assert kept == reasons, "who was seen stays private"
    with pytest.raises(ConfigError, match=r"gates\.judge\.max_privacy"):
        list(select(str(run), ["name=u", "gates.judge.max_privacy=5"]))


def test_a_picture_without_a_usable_answer_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    import pyarrow.parquet as pq

    folder = folder_of(tmp_path / "photos", [np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 9, np.uint8)])
    with serving(status(500), says(json.dumps(GOOD)), status(500), says(json.dumps(GOOD))) as server:
        scored(folder, tmp_path / "ok", server)
    with serving(says("hm"), says(json.dumps(GOOD)), says("hm")) as server:
        (folder / "2.png").write_bytes((folder / "1.png").read_bytes())
        Image.fromarray(np.full((64, 64, 3), 77, np.uint8)).save(folder / "3.png")
        Image.fromarray(np.full((64, 64, 3), 78, np.uint8)).save(folder / "4.png")
        run = scored(folder, tmp_path / "run", server)
    (table,) = [pq.read_table(path).to_pylist() for path in (run / "score_scores").glob("*.parquet")]
    verdicts = [(row["verdict"], row["reason"], row["judge_privacy"]) for row in table]
    assert ("rejected", "judge.privacy", None) in verdicts
    assert any("holds no JSON object" in row["judge_reason"] for row in table)


def test_precision_and_recall_of_a_model_from_labelled_pictures(tmp_path):
    rng = np.random.default_rng(0)
    bad = folder_of(tmp_path / "bad", [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(4)])
    good = folder_of(tmp_path / "good", [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(20)])
    wrong = says(json.dumps({**GOOD, "semantic": "yes", "reason": "six legs"}))
    with serving(wrong, wrong, wrong, says(json.dumps(GOOD))) as server:
        scored(bad, tmp_path / "b", server)
    with serving(wrong, says(json.dumps(GOOD))) as server:
        scored(good, tmp_path / "g", server)
    wanted = [f"reference={tmp_path}/g", f"negatives={tmp_path}/b", f"run={tmp_path}/c", "checks=[judge.max_semantic]"]
    lines = list(calibrate(load(Calibrate, None, wanted)))
    assert "hits       75.0% of the negatives (recall)" in lines
    assert "precision  75.0% of the 4 rejected pictures are negatives" in lines
    fragment = yaml.safe_load((tmp_path / "c" / "gates.yaml").read_text())
    assert fragment["gates"] == {"judge": {"max_semantic": 0.0}}


def test_another_server_is_the_same_stage_another_model_is_not():
    def meaning(**chat):
        gates = {"judge": {"chat": {"model": "a", **chat}}}
        return resolve(Score, {"source": "x", "gates": gates}, "", []).meaning()

    assert meaning(url="http://a/v1", timeout=5, parallel=2) == meaning(url="http://b/v1")
    assert meaning() != meaning(temperature=0.5)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("yes", "holds no JSON object"),
        ('{"semantic": "no"}', "lacks 'privacy'"),
        (json.dumps({**GOOD, "nsfw": "maybe"}), "says 'maybe' to 'nsfw'"),
        (json.dumps({**GOOD, "nsfw": False}), "of type bool"),
    ],
)
def test_only_the_asked_form_is_an_answer(text, problem):
    with pytest.raises(ValueError, match=problem):
        parse(text)


def test_a_judge_without_a_model_is_refused():
    from genir.runs.build import build_gates

    gates = Gates(face=None, signal=None, quality={}, judge={})
    with pytest.raises(ConfigError, match=r"gates\.judge\.chat is not set"):
        build_gates(gates, None)
