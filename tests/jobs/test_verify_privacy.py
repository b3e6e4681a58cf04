"""The audit: whose sample, what was answered, and the bound that follows from it; nobody else may look."""

import csv
import json

import pytest
from PIL import Image
from skimage import data

from genir.bounds import lower_bound, upper_bound
from genir.errors import ConfigError
from genir.jobs.verify.privacy import privacy

JOB = {"prompts": 40, "shard_size": 8, "batch": 4, "sizes": [[64, 64]], "column": "face_score", "reject": "none"}


@pytest.fixture
def run(dummy):
    dummy.run("made", **JOB)
    return dummy.folder / "made"


@pytest.fixture
def people(tmp_path):
    folder = tmp_path / "people"
    folder.mkdir()
    for number in range(20):
        Image.fromarray(data.astronaut()[number : number + 300, number : number + 300]).save(folder / f"{number}.png")
    return folder


def answer(run, answers):
    """Fill in the table; `answers` number -> yes or no, the others are no."""
    path = run / "audits" / "audit" / "answers.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, "person": answers.get(int(row["number"]), "no")} for row in rows)
    return len(rows)


def test_a_person_answers_and_the_bound_is_that_of_clopper_and_pearson(run):
    code, lines = privacy(str(run), ["sample=30"])
    assert code == 75
    assert lines[0] == "sample     30 of 40 kept images, at random (seed 0)"
    folder = run / "audits" / "audit"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in folder.iterdir()} >= {"answers.csv", "sheet_001.png", "borderline.png"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    code, lines = privacy(str(run), ["sample=30"])
    assert (code, lines[0][:21]) == (75, "answers    0 of 30 ar")
    assert answer(run, {3: "yes"}) == 30
    with pytest.raises(ConfigError, match="auditor is not set"):
        privacy(str(run), ["sample=30"])
    code, lines = privacy(str(run), ["sample=30", "auditor=Ada Lovelace"])
    bound = upper_bound(1, 30) * 1e6
    assert code == 0
    assert "audited    30 of 40 kept images, drawn at random (seed 0), by Ada Lovelace" in lines
    assert f"bound      at most {bound:,.0f} per million kept images, with 95% confidence (n = 30)" in lines
    assert any("taken as nothing" in line for line in lines)
    assert "not assessed:" in lines
    facts = json.loads((folder / "result.json").read_bytes())
    assert facts["bound_per_million"] == pytest.approx(bound)
    with pytest.raises(ConfigError, match="answers 30 pictures, the sample has 20"):
        privacy(str(run), ["sample=20", "auditor=A"])


def test_pictures_with_people_that_are_mixed_in_measure_the_auditor(run, people):
    privacy(str(run), ["sample=30", f"controls={people}"])
    assert answer(run, {}) == 50
    _, lines = privacy(str(run), ["sample=30", f"controls={people}", "auditor=blind"])
    assert any(line.startswith("controls   0 of 20") for line in lines)
    assert any("at most 1,000,000 per million" in line for line in lines)
    answer(run, dict.fromkeys(range(1, 51), "yes"))
    _, lines = privacy(str(run), ["sample=30", f"controls={people}", "auditor=sees everything"])
    facts = json.loads((run / "audits" / "audit" / "result.json").read_bytes())
    assert (facts["found"], facts["controls_found"]) == (30, 20)
    assert facts["recall_at_least"] == pytest.approx(lower_bound(20, 20, 0.975))


def test_a_detector_of_the_run_s_own_family_gives_an_estimate_only(run, people):
    wanted = ["sample=10", f"controls={people}", "detector={signal: null, quality: {}, face: {threshold: 0.3}}"]
    code, lines = privacy(str(run), wanted)
    facts = json.loads((run / "audits" / "audit" / "result.json").read_bytes())
    assert (code, facts["found"], facts["controls_found"]) == (0, 0, 20)
    expected = upper_bound(0, 10, 0.975) / lower_bound(20, 20, 0.975) * 1e6
    assert facts["estimate_per_million"] == pytest.approx(expected)
    assert any(line.startswith("estimate   at most") for line in lines)
    assert any("not a bound" in line for line in lines)


def test_answers_that_are_none_are_named(run):
    privacy(str(run), ["sample=5"])
    answer(run, {2: "perhaps"})
    with pytest.raises(ConfigError, match=r"answers\.csv: cannot be read .*perhaps"):
        privacy(str(run), ["sample=5", "auditor=A"])
