"""Other thresholds over stored scores: what is kept, why not, and that what uses a selection takes exactly that."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from genir import images
from genir.errors import ConfigError, ImageError, PlanError
from genir.jobs.select import decide, select
from genir.records import Check
from genir.shards import selection
from genir.sources import open_source
from genir.sources.original import NO_PIXELS

JOB = {"prompts": 30, "shard_size": 8, "batch": 4, "sizes": [[64, 64]], "column": "quality_piqe"}


@pytest.fixture
def run(dummy):
    """Score = last digit of the key; a third is rejected by signal.entropy, whose score is not stored."""
    return made(dummy)


def made(dummy, **options):
    dummy.run("made", **{**JOB, **options})
    root = dummy.folder / "made"
    gates = {"face": None, "signal": None, "quality": {"piqe": {"min": None, "max": 9.5}}, "score_only": False}
    (root / "config.yaml").write_text(yaml.safe_dump({"gates": gates}))
    return root


def choices(root, name="default"):
    return pq.read_table(root / "selections" / f"{name}.parquet").to_pylist()


def rows(root):
    return [row for path in sorted((root / "image").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def change(root, edit):
    """Rewrite the tables of a run; `edit` changes rows."""
    for path in sorted((root / "image").glob("*.parquet")):
        table = pq.read_table(path)
        found = table.to_pylist()
        for row in found:
            edit(row)
        pq.write_table(pa.Table.from_pylist(found, schema=table.schema), path)
        done = path.with_suffix(".done")
        facts = json.loads(done.read_bytes())
        facts["files"][path.name]["size"] = path.stat().st_size
        done.write_text(json.dumps(facts))


def test_tighter_and_looser(run):
    lines = list(select(str(run), ["name=tight", "gates.quality.piqe.max=4"]))
    table = choices(run, "tight")
    assert [row["key"] for row in table] == [f"{n:09d}" for n in range(30)]
    assert {int(row["key"]) % 10 <= 4 for row in table if row["verdict"] == "kept"} == {True}
    assert {row["reason"] for row in table if row["verdict"] == "rejected"} == {"quality.piqe"}
    assert sum(row["verdict"] == "kept" for row in table) == 15
    before = sum(row["verdict"] == "kept" for row in rows(run))
    assert lines[0] == "kept        15 of 30"
    assert lines[1].startswith(f"before      {before}: ")
    list(select(str(run), ["name=loose", "gates.quality.piqe.max=7"]))
    assert sum(row["verdict"] == "kept" for row in choices(run, "loose")) == 24


def test_degrade_takes_what_was_selected_and_names_what_has_no_pixels(run):
    lines = list(select(str(run), ["name=tight", "gates.quality.piqe.max=4"]))
    verdicts = {row["key"]: row["verdict"] for row in rows(run)}
    source = open_source(f"{run}#tight")
    assert source.available == 30
    originals = source.originals(0, 30)
    for one in originals:
        low = int(one.key) % 10 <= 4
        expected = "quality.piqe" if not low else NO_PIXELS if verdicts[one.key] != "kept" else ""
        assert one.reason == expected
    missing = [one.key for one in originals if one.reason == NO_PIXELS]
    assert any(line.startswith(f"no pixels   of {', '.join(missing[:5])}") for line in lines)
    taken = next(one for one in originals if not one.reason)
    assert images.pixels_sha256(taken.read()[0]) == next(r["pixels_sha256"] for r in rows(run) if r["key"] == taken.key)
    assert source.identity != open_source(str(run)).identity


def test_pixels_made_again_are_taken_if_they_are_what_was_judged(dummy):
    root = made(dummy, keep_rejects=True)
    list(select(str(root), []))
    originals = open_source(f"{root}#default").originals(0, 30)
    assert {one.reason for one in originals} == {""}
    verdicts = {row["key"]: row["verdict"] for row in rows(root)}
    put_in = next(one for one in originals if verdicts[one.key] == "rejected")
    pixels_CHW, synthetic = put_in.read()
    assert synthetic
    (root / "regenerated").mkdir()
    (root / "regenerated" / f"{put_in.key}.png").write_bytes(images.encode(255 - pixels_CHW, "png", 1))
    again = open_source(f"{root}#default").originals(int(put_in.key), int(put_in.key) + 1)
    with pytest.raises(ImageError, match="other pixels than were judged"):
        again[0].read()


def test_a_run_that_grows_keeps_what_was_chosen(dummy):
    root = made(dummy, limit=12)
    list(select(str(root), []))
    first, identity = choices(root), open_source(f"{root}#default").identity
    assert len(first) == 12
    made(dummy)
    assert open_source(f"{root}#default").available == 12
    list(select(str(root), []))
    assert choices(root)[:12] == first
    assert len(choices(root)) == 30
    assert open_source(f"{root}#default").identity == identity


def test_another_meaning_needs_another_name(run):
    list(select(str(run), ["name=a"]))
    with pytest.raises(PlanError, match=r"'a' means something else: gates\.quality\.piqe\.max: 9\.5 -> 4"):
        list(select(str(run), ["name=a", "gates.quality.piqe.max=4"]))
    with pytest.raises(PlanError, match=r"no selection 'b'; there are: a"):
        open_source(f"{run}#b")


def test_a_score_that_nobody_measured_is_one_line(run):
    with pytest.raises(ConfigError, match=r"niqe_96 <= 5: no table of .* holds quality_niqe_96; measure it"):
        list(select(str(run), ["gates.quality.niqe_96.max=5"]))
    assert not (run / "selections").exists()


def test_thresholds_come_from_a_file_too(run, tmp_path):
    (tmp_path / "gates.yaml").write_text("gates: {face: null, signal: null, quality: {piqe: {max: 4}}}\n")
    list(select(str(run), [f"gates={tmp_path}/gates.yaml"]))
    assert sum(row["verdict"] == "kept" for row in choices(run)) == 15
    list(select(str(run), ["name=looser", f"gates={tmp_path}/gates.yaml", "gates.quality.piqe.max=7"]))
    assert sum(row["verdict"] == "kept" for row in choices(run, "looser")) == 24
    with pytest.raises(ConfigError, match=r"gates = .*none\.yaml.*no such config file"):
        list(select(str(run), ["gates=none.yaml"]))


def test_equal_pixels_and_equal_noise_stay_once(run):
    def edit(row):
        if row["key"] == "000000020":
            row["pixels_sha256"] = twin["pixels_sha256"]
        if row["key"] == "000000021":
            row["seed"] = twin["seed"]

    twin = next(row for row in rows(run) if row["key"] == "000000003")
    change(run, edit)
    lines = list(select(str(run), []))
    reasons = {row["key"]: row["reason"] for row in choices(run) if row["verdict"] != "kept"}
    assert reasons == {"000000020": "duplicate:000000003", "000000021": "noise:000000003"}
    assert any("duplicate 1, noise 1" in line for line in lines)
    list(select(str(run), ["name=all", "duplicates=null"]))
    assert {row["verdict"] for row in choices(run, "all")} == {"kept"}


CHECKS = [Check("face", "face_score", high=0.3, reaching=True), Check("quality.piqe", "quality_piqe", high=40.0)]
ROW = {"verdict": "kept", "reason": "", "face_score": 0.1, "quality_piqe": 20.0, "nonfinite": False}
DECIDED = [
    ({}, ("kept", "")),
    ({"quality_piqe": 41.0}, ("rejected", "quality.piqe")),
    ({"face_score": 0.3, "quality_piqe": 41.0}, ("rejected", "face")),
    ({"quality_piqe": None}, ("undecidable", "quality.piqe")),
    ({"quality_piqe": None, "face_score": 0.5}, ("rejected", "face")),
    ({"quality_piqe": None, "verdict": "rejected", "reason": "quality.piqe"}, ("rejected", "quality.piqe")),
    ({"verdict": "rejected", "reason": "signal.std"}, ("kept", "")),  # no threshold asks for it any more
    ({"verdict": "rejected", "reason": "face"}, ("rejected", "face")),  # never shown again, whatever the threshold
    # nobody looked for persons: it was rejected first, and its pixels are never stored or shown
    ({"verdict": "rejected", "reason": "signal.std", "person_score": None}, ("undecidable", "person")),
    ({"verdict": "rejected", "reason": "signal.std", "person_score": 0.0}, ("kept", "")),
    ({"judge_privacy": None}, ("kept", "")),  # stored already
    ({"verdict": "error", "reason": "error:ValueError"}, ("rejected", "error:ValueError")),
    ({"nonfinite": True}, ("rejected", "signal.nonfinite")),
    ({"nonfinite": True, "face_score": 0.9}, ("rejected", "face")),
]


@pytest.mark.parametrize(("facts", "expected"), DECIDED)
def test_one_row(facts, expected):
    assert decide({**ROW, **facts}, CHECKS) == expected


def test_what_is_no_selection_is_one_line(run):
    (run / "selections").mkdir()
    pq.write_table(pa.table({"key": ["000000000"]}), run / "selections" / "bad.parquet")
    with pytest.raises(PlanError, match=r"bad\.parquet: not a selection"):
        selection.read(run, "bad")


def test_a_selection_of_another_run_is_refused(run, dummy, tmp_path):
    list(select(str(run), []))
    dummy.run("other", **{**JOB, "seed": 5})
    other = dummy.folder / "other"
    (run / "selections").rename(other / "selections")
    with pytest.raises(PlanError, match="belongs to another run"):
        open_source(f"{other}#default")
