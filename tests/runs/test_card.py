"""README.md of a run: true, readable by `load_dataset`, and never in the place of what a person wrote."""

import json
import re

import datasets
import exported
import pytest
import yaml
from processes import forked

from genir.runs.card import looked_for, write_card
from genir.runs.summary import summarise


@pytest.fixture
def run(tmp_path):
    return exported.make_images(tmp_path / "castles")


def test_the_card_counts_what_the_run_counts(run):
    write_card(run)
    text, summary = (run / "README.md").read_text(), summarise(run)
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["pretty_name"] == "castles"
    assert "synthetic" in front["tags"]
    assert f"| kept | {summary.kept:,} | {100 * summary.kept / summary.done:.1f} % |" in text
    for reason, count in summary.reasons.items():
        assert f"| not kept: `{reason}` | {count} |" in text
    plan = json.loads((run / "plan.json").read_bytes())
    for told in (plan["digest"][:16], "trainedAlgorithmicMedia", "Licence of the model", "Not assessed:"):
        assert told in text


def test_a_second_pass_is_told(run):
    plan = json.loads((run / "plan.json").read_bytes())
    own = {"size": [[64, 96]], "hires": {"scale": 2.0}, "post": {"downscale": 2.0}, "crop": [60, 90]}
    (run / "plan.json").write_text(json.dumps({**plan, "meaning": {**plan["meaning"], **own}}))
    write_card(run)
    assert "(64 x 96 pixels, a second pass x2, reduced by 2, cropped to 60x90, " in (run / "README.md").read_text()


def test_load_dataset_reads_the_folder(run, tmp_path):
    write_card(run)
    loaded = datasets.load_dataset(str(run), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == summarise(run).kept
    assert loaded[0]["png"].size == exported.SIZE[::-1]
    assert loaded[0]["txt"]


def test_pairs_say_what_their_pictures_are(run, tmp_path):
    (run / "env.json").write_text(json.dumps({"model": "/home/ada/sdxl", "model_licence": "openrail++"}))
    pairs = exported.make_pairs(run, tmp_path / "pairs")
    text, kept = (pairs / "README.md").read_text(), summarise(pairs).kept
    assert f"{kept} HQ-LQ pairs" in text
    assert f"HQ of {kept} pairs: synthetic." in text
    assert (
        "HQ from `castles`, made with the model sdxl. Licence of the model that made the pictures: openrail++" in text
    )
    assert "/home/ada" not in text
    loaded = datasets.load_dataset(str(pairs), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == kept
    assert set(loaded.column_names) == {"hq.png", "lq.png", "txt", "__key__"}
    assert loaded[0]["lq.png"].size == tuple(side // 4 for side in loaded[0]["hq.png"].size)


def test_every_epoch_is_a_pair(run, tmp_path):
    pairs = exported.make_pairs(run, tmp_path / "pairs", "epochs=2")
    text, kept = (pairs / "README.md").read_text(), summarise(pairs).kept
    assert f"{2 * kept} HQ-LQ pairs" in text
    assert f"HQ of {2 * kept} pairs: synthetic." in text


def test_the_card_follows_its_run(tmp_path):
    root = tmp_path / "run"
    for limit in (4, 12):
        forked(root, prompts=12, shard_size=4, batch=2, limit=limit)
        write_card(root)
        assert f"| made | {limit} |" in (root / "README.md").read_text()


@pytest.mark.parametrize("edit", [lambda text: "# Mine\n", lambda text: text + "\nAnd a word of mine.\n"])
def test_what_a_person_wrote_stays(run, edit):
    write_card(run)
    theirs = edit((run / "README.md").read_text())
    (run / "README.md").write_text(theirs)
    write_card(run)
    assert (run / "README.md").read_text() == theirs


def test_the_same_run_has_the_same_card(run):
    write_card(run)
    before = (run / "README.md").read_bytes()
    write_card(run)
    assert (run / "README.md").read_bytes() == before
    assert len(re.findall("made by genir, anew", before.decode())) == 1


def test_what_was_looked_for():
    gates = {"face": {"threshold": 0.3}, "signal": None, "quality": {}, "weights": {"centerface": "9"}}
    text = looked_for({"meaning": {"gates": {**gates, "score_only": False}}})
    assert text.startswith("Looked for, by the gates of this run: face. Not assessed")
    assert "nothing was rejected" in looked_for({"meaning": {"gates": {**gates, "score_only": True}}})
    assert "nothing." in looked_for({"meaning": {}})
