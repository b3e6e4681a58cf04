"""`genir verify` finds whatever is done to a finished run; nothing of a sound one is called bad."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from processes import TESTS

from genir.shards.files import ShardFiles
from genir.shards.verify import prove

JOB = {"prompts": 34, "batch": 3, "shard_size": 10, "sizes": [[8, 8], [8, 12]]}


def verify(root, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "genir", "verify", str(root), *arguments],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        capture_output=True,
        text=True,
        timeout=150,
    )


def look(root, shard=1, upto=34):
    plan = json.loads((root / "plan.json").read_bytes())
    keys = range(10 * shard, min(10 * shard + 10, 34))
    return prove(ShardFiles.of(root / "image", shard, plan["shards"]), keys, upto, plan)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    from processes import Dummy

    dummy = Dummy(tmp_path_factory.mktemp("sound"))
    assert dummy.run("run", **JOB)[0] == 0
    return dummy.folder / "run"


@pytest.fixture
def run(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "run")


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def restate(path, **facts):
    """Rewrite a marker."""
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **facts}))


def test_a_sound_run_is_proven(sound):
    done = verify(sound)
    assert (done.returncode, done.stderr) == (0, "")
    counts = dict(line.split()[:2] for line in done.stdout.splitlines()[:-1])
    assert counts["planned"] == "34"
    assert int(counts["kept"]) + int(counts["rejected"]) == 34
    assert (counts["missing"], counts["unproven"]) == ("0", "0")
    assert done.stdout.endswith("proven: 4 shards, every hash, row and image\n")


@pytest.mark.parametrize(
    "change",
    [{"crop": [8, 8], "batch": 4}, {"crop": [4, 4], "batch": 5, "sizes": [[8, 8]], "fail_at": "000000013"}],
    ids=["of two sizes", "one without a picture"],
)
def test_a_sound_run_of_cropped_pictures_is_proven(dummy, change):
    assert dummy.run("run", **{**JOB, **change})[0] == 0
    assert [look(dummy.folder / "run", shard).problems for shard in range(4)] == [[]] * 4


def test_a_bad_run_is_not_and_what_is_bad_is_named(run):
    flip(run / "image" / "000001.tar", 2000)
    done = verify(run)
    assert done.returncode == 2
    assert done.stdout.startswith(
        "1 of 4 finished shards are bad:\n  000001.tar: is not the file that was written (SHA-256)\n"
    )
    assert "unproven   10" in done.stdout
    assert "NOT proven" in done.stdout


def test_work_that_is_left_is_missing_and_not_bad(dummy):
    assert dummy.run("run", limit=14, **JOB)[0] == 0
    root = dummy.folder / "run"
    done = verify(root)
    assert done.returncode == 75
    assert "planned    34\n" in done.stdout
    assert "planned tasks are not made yet" in done.stdout
    (root / "goal.json").write_text('{"limit": 14, "kept": null}')
    done = verify(root)
    assert done.returncode == 0, done.stdout
    assert "planned    14" in done.stdout


def test_a_target_plans_no_more_than_the_shards_that_reach_it(dummy):
    dummy.run("run", target=8, reject="none", **JOB)
    (dummy.folder / "run" / "goal.json").write_text('{"limit": null, "kept": 8}')
    done = verify(dummy.folder / "run")
    assert done.returncode == 0
    assert "planned    10\nkept       10\n" in done.stdout


def test_every_flipped_bit_of_a_shard_is_found(sound, run):
    assert look(sound).problems == []
    for suffix in ("tar", "parquet"):
        path = run / "image" / f"000001.{suffix}"
        whole = path.read_bytes()
        for offset in range(0, len(whole), 97):
            flip(path, offset)
            assert look(run).problems, (suffix, offset)
            path.write_bytes(whole)
    assert look(run).problems == []


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"kept": 3}, r"kept is 3, the files say \d"),
        ({"tasks": 11}, "tasks is 11, the files say 10"),
        ({"covered": 19}, "covered is 19, the files say 20"),
        ({"batches": 9}, r"batches is 9, the files say \d"),
        ({"data_bytes": 512}, "data_bytes is 512"),
        ({"reasons": {}}, r"reasons is \{\}"),
        ({"plan": "0" * 64}, "plan is 000"),
        ({"shard": "000002"}, "shard is 000002"),
        ({"files": {}}, "names no table"),
        ({"files": None}, "cannot be read"),
        ({"files": []}, "cannot be read"),
    ],
)
def test_a_marker_that_says_something_else_is_found(run, facts, problem):
    restate(run / "image" / "000001.done", **facts)
    assert any(re.match(rf"000001\.done: .*{problem}", text) for text in look(run).problems)


@pytest.mark.parametrize("name", ["000001.tar", "000001.parquet"])
def test_a_file_that_is_gone_or_cut_is_found(run, name):
    path = run / "image" / name
    path.write_bytes(path.read_bytes()[:-512])
    assert any(text.startswith(f"{name}: has ") for text in look(run).problems)
    path.unlink()
    assert f"{name}: No such file or directory" in look(run).problems


def test_a_shard_of_another_run_is_found(run, dummy):
    dummy.run("other", **{**JOB, "seed": 5})
    for path in (dummy.folder / "other" / "image").glob("000001.*"):
        shutil.copy(path, run / "image" / path.name)
    assert any("plan is" in text for text in look(run).problems)


def test_a_shard_under_the_name_of_another_is_found(run):
    for suffix in ("tar", "parquet", "done"):
        shutil.copy(run / "image" / f"000002.{suffix}", run / "image" / f"000001.{suffix}")
    assert look(run).problems


def test_a_tar_and_a_marker_that_agree_on_other_pixels_are_found(run):
    """Hashes that were written anew over a tar whose images are another shard's."""
    tar, marker = run / "image" / "000001.tar", run / "image" / "000001.done"
    shutil.copy(run / "image" / "000000.tar", tar)
    facts = json.loads(marker.read_bytes())
    facts["files"]["000001.tar"] = json.loads((run / "image" / "000000.done").read_bytes())["files"]["000000.tar"]
    marker.write_text(json.dumps(facts))
    problems = look(run).problems
    assert any("belongs to no kept row" in text for text in problems)
    assert any(text.endswith("is missing") for text in problems)


def test_tars_and_tables_of_nobody_are_named(run):
    shutil.copy(run / "image" / "000000.tar", run / "image" / "copy of 000000.tar")
    (run / "image" / "000002.done").unlink()
    done = verify(run)
    assert done.returncode == 75, "the shard is made again by the same command"
    assert "strays     3   (000002.parquet, 000002.tar, copy of 000000.tar: of no finished shard" in done.stdout


def test_no_run_is_one_line(tmp_path):
    done = verify(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"genir: {tmp_path}: no genir run there (no plan.json)\n"


def test_a_run_of_another_command_is_refused(run):
    plan = json.loads((run / "plan.json").read_bytes())
    (run / "plan.json").write_text(json.dumps({**plan, "columns": {"key": "string"}}))
    assert "not a run of `genir generate`" in verify(run).stderr


def test_a_run_in_an_object_store_is_refused():
    assert "copy it to a local folder" in verify("s3://bucket/run").stderr
