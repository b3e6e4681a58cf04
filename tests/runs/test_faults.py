"""What docs/reliability.md promises and no other file tests: real processes, real signals, lost power, bad shards."""

import json
import random
import shutil
import signal
import time

import pytest
from processes import forked, published

from genir.runs.summary import summarise

SMALL = {"prompts": 10, "batch": 2, "shard_size": 6, "sizes": [[8, 8], [8, 12]]}
JOB = {"prompts": 60, "batch": 3, "shard_size": 10, "sizes": [[8, 8], [8, 12]]}


def rank(index, world):
    return {"SLURM_PROCID": str(index), "SLURM_NTASKS": str(world), "SLURM_LOCALID": str(index)}


def finished(root):
    return len(list(root.rglob("*.done")))


def progress(root):
    """Grows with every finished batch: bytes of journals plus finished shards."""
    total = 10_000 * finished(root)
    for path in root.rglob("*.journal"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            total += 10_000
    return total


def wait_for(condition, process):
    until = time.monotonic() + 100
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def unbroken(tmp_path):
    assert forked(tmp_path / "unbroken", **JOB)[0] == 0
    return published(tmp_path / "unbroken")


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_what_was_not_fsynced_may_be_lost_at_every_point(tmp_path, every):
    assert forked(tmp_path / "unbroken", **SMALL)[0] == 0
    expected = published(tmp_path / "unbroken")
    changes = forked(tmp_path / "counted", **SMALL)[1]["changes"]
    for point in range(1, len(changes) + 1, every):
        root = tmp_path / str(point)
        assert forked(root, **SMALL, crash_at=point, crash_when="power")[0] == 9
        seen = published(root)
        code, facts = forked(root, **SMALL)
        assert code == 0, (point, facts)
        assert published(root) == expected, point
        markers = {name for name in seen if name.endswith(".done")}
        assert {name: expected[name] for name in markers} == {name: seen[name] for name in markers}
        whole = {name for name in seen if name.rpartition(".")[0] + ".done" in markers}
        assert all(seen[name] == expected[name] for name in whole), "a marker promises what is on the disk"


@pytest.mark.parametrize("lost", ["tar", "parquet"])
def test_a_deleted_file_is_made_again(tmp_path, unbroken, lost):
    forked(tmp_path / "run", **JOB)
    (tmp_path / "run" / "image" / f"000002.{lost}").unlink()
    code, facts = forked(tmp_path / "run", **JOB)
    assert (code, len(facts["made"])) == (0, 4)
    assert published(tmp_path / "run") == unbroken
    assert (tmp_path / "run" / "image" / "000002.done.bad").exists()


def test_a_worker_that_stands_still_keeps_its_shard_and_goes_on(dummy, unbroken):
    root = dummy.folder / "run"
    first = dummy.start("run", sleep=0.05, **JOB)
    wait_for(lambda: progress(root) > 500, first)
    first.send_signal(signal.SIGSTOP)
    code, facts = dummy.run("run", **JOB)
    assert code == 0
    assert finished(root) == 5, "all but the shard that the still worker holds"
    first.send_signal(signal.SIGCONT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert not set(facts["made"]) & set(json.loads(out)["made"])
    assert published(root) == unbroken


def test_a_clock_that_jumps_by_a_year_changes_nothing(tmp_path, unbroken):
    assert forked(tmp_path / "run", stats=True, clock=3e7, **JOB)[0] == 0
    assert published(tmp_path / "run") == unbroken


def test_a_shard_that_ends_its_worker_three_times_is_quarantined_and_the_rest_is_made(tmp_path, unbroken):
    root = tmp_path / "run"
    bad = f"{24:09d}"  # in the third shard, not in its first batch
    deaths = [forked(root, die_at=bad, sleep=0.1, **JOB)[0] for _ in range(4)]
    assert deaths == [-signal.SIGKILL] * 4, "once with new batches before it, three times without"
    code, facts = forked(root, die_at=bad, **JOB)
    assert (code, facts["quarantined"]) == (0, ["000002"])
    summary = summarise(root)
    assert (summary.state, summary.quarantined, summary.shards_done) == ("quarantined", ["000002"], 5)
    assert (root / "image" / "000002.quarantined").read_text().count(" on ") == 3
    (root / "image" / "000002.quarantined").unlink()
    assert forked(root, **JOB)[0] == 0
    assert published(root) == unbroken
    assert summarise(root).state == "reached"


def test_stops_in_order_are_no_tries(tmp_path):
    root = tmp_path / "run"
    for _ in range(5):
        forked(root, limit=1, **JOB)
    assert not list(root.rglob("*.tries"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_kills_of_one_to_eight_workers(dummy):
    job = {"prompts": 1500, "batch": 3, "shard_size": 10, "sizes": [[8, 8], [8, 12]]}
    assert forked(dummy.folder / "unbroken", **job)[0] == 0
    chance, root, mark = random.Random(0), dummy.folder / "run", dummy.folder / "begun"
    kills = launches = 0
    while kills < 100:
        world = chance.randint(1, 8)
        workers = [
            dummy.start("run", rank(index, world), sleep=0.02, mark=str(mark), max_tries=100, **job)
            for index in range(world)
        ]
        launches += 1
        goal = progress(root) + chance.randint(200, 40_000)
        while progress(root) < goal and any(worker.poll() is None for worker in workers):
            time.sleep(0.01)
        victims = [worker for worker in workers if worker.poll() is None]
        assert victims, f"the run was done after {kills} kills"
        for worker in victims:
            worker.kill()
        kills += len(victims)
        for worker in workers:
            worker.communicate(timeout=300)
    assert forked(root, mark=str(mark), max_tries=100, **job)[0] == 0
    assert dummy.published("run") == dummy.published("unbroken")
    begun = mark.read_text().split()
    print(f"{kills} kills in {launches} launches, {len(begun) - len(set(begun))} of {len(begun)} batches made twice")
    assert len(begun) - len(set(begun)) <= 3 * kills
    shutil.rmtree(dummy.folder)
