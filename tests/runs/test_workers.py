"""The promises, with real processes: any number of workers, kills at any time, growth, targets, refusals."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from processes import TESTS, published

JOB = {"prompts": 60, "batch": 3, "shard_size": 10, "sizes": [[8, 8], [8, 12]]}


def rank(index, world):
    return {"SLURM_PROCID": str(index), "SLURM_NTASKS": str(world), "SLURM_LOCALID": str(index)}


def together(dummy, name, world, **options):
    """Start `world` ranks at once and wait; returns the exit codes."""
    workers = [dummy.start(name, rank(index, world), **options) for index in range(world)]
    outputs = [worker.communicate(timeout=120) for worker in workers]
    assert all(worker.returncode in (0, 75) for worker in workers), outputs
    return [worker.returncode for worker in workers]


def progress(root):
    """Grows with every finished batch: bytes of journals plus finished shards."""
    done = 10_000 * len(list(root.rglob("*.done")))
    total = done
    for path in root.rglob("*.journal"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            total += 10_000
    return total


@pytest.fixture
def unbroken(dummy):
    assert dummy.run("unbroken", **JOB)[0] == 0
    return dummy.published("unbroken")


@pytest.mark.parametrize("world", [1, 2, 3])
def test_any_number_of_workers_gives_the_same_bytes(dummy, unbroken, world, tmp_path):
    mark = tmp_path / "begun"
    together(dummy, "run", world, sleep=0.01, mark=str(mark), **JOB)
    assert dummy.published("run") == unbroken
    begun = mark.read_text().split()
    assert len(begun) == len(set(begun)), "no batch is made twice"


@pytest.mark.parametrize("seed", range(3))
def test_kills_with_changing_worker_counts_change_nothing(dummy, unbroken, seed, tmp_path):
    chance = random.Random(seed)
    root, mark = dummy.folder / "run", tmp_path / "begun"
    kills = 0
    for _ in range(40):
        world = chance.choice([1, 2, 3])
        workers = [
            dummy.start("run", rank(index, world), sleep=0.02, mark=str(mark), max_tries=100, **JOB)
            for index in range(world)
        ]
        # placed by the journal's growth, so that every launch gets somewhere and none gets far
        goal = progress(root) + chance.randint(200, 4000)
        while progress(root) < goal and any(worker.poll() is None for worker in workers):
            time.sleep(0.002)
        victims = [worker for worker in workers if worker.poll() is None]
        for worker in victims:
            worker.send_signal(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
        kills += len(victims)
        for worker in workers:
            worker.communicate(timeout=60)
        if not victims:
            break
    assert kills >= 3
    together(dummy, "run", 2, mark=str(mark), **JOB)
    assert published(root) == unbroken
    begun = mark.read_text().split()
    assert len(begun) - len(set(begun)) <= 3 * kills, "a kill loses at most the batches in flight"


def test_a_second_launch_joins_a_running_one(dummy, unbroken):
    first = dummy.start("run", sleep=1.5, **JOB)
    while not (dummy.folder / "run" / "plan.json").exists():
        time.sleep(0.01)
    second = dummy.start("run", sleep=0.05, **JOB)
    made = [json.loads(worker.communicate(timeout=120)[0])["made"] for worker in (first, second)]
    assert all(made), "both did some of the work"
    assert not set(made[0]) & set(made[1])
    assert dummy.published("run") == unbroken


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGINT])
def test_a_signal_stops_in_order_and_says_run_again(dummy, unbroken, number):
    worker = dummy.start("run", sleep=0.05, **JOB)
    while progress(dummy.folder / "run") < 500:
        time.sleep(0.01)
    worker.send_signal(number)
    out, err = worker.communicate(timeout=60)
    assert worker.returncode == 75, err
    safe = sum(1 for _ in json.loads(out)["made"])
    assert dummy.run("run", **JOB)[0] == 0
    assert safe >= 1
    assert dummy.published("run") == unbroken


def test_limit_is_growth(dummy, unbroken):
    for limit in (4, 17, 17, 31, 2, None):
        assert dummy.run("run", limit=limit, **JOB)[0] == 0
    assert dummy.published("run") == unbroken


def test_a_limited_run_is_readable_and_covers_its_limit(dummy):
    dummy.run("run", limit=14, **JOB)
    markers = [json.loads(path.read_bytes()) for path in sorted((dummy.folder / "run").rglob("*.done"))]
    assert markers[0]["tasks"] == 10
    assert 14 - 10 <= markers[1]["tasks"] < 10
    assert not list((dummy.folder / "run").rglob("*.part"))


def test_the_target_is_met_by_a_prefix_of_shards(dummy, unbroken):
    together(dummy, "run", 2, target=14, sleep=0.01, **JOB)
    root = dummy.folder / "run"
    done = {path.stem: json.loads(path.read_bytes())["kept"] for path in root.rglob("*.done")}
    prefix = []
    while f"{len(prefix):06d}" in done and sum(prefix) < 14:
        prefix.append(done[f"{len(prefix):06d}"])
    assert sum(prefix) >= 14
    assert len(done) < 6, "the rest of the plan was not made"
    assert dummy.run("run", **JOB)[0] == 0
    assert dummy.published("run") == unbroken


def test_a_moved_run_directory_resumes(dummy, unbroken):
    dummy.run("before", limit=25, **JOB)
    shutil.move(dummy.folder / "before", dummy.folder / "after")
    assert dummy.run("after", **JOB)[0] == 0
    assert dummy.published("after") == unbroken


def test_a_changed_meaning_is_refused_with_the_difference(dummy, unbroken):
    dummy.run("run", limit=9, **JOB)
    code, facts = dummy.run("run", **{**JOB, "seed": 5, "batch": 4})
    assert code == 2
    assert "batch: 3 -> 4; seed: 0 -> 5; choose another run directory" in facts["error"]
    assert "\n" not in facts["error"]
    assert dummy.run("run", **JOB)[0] == 0
    assert dummy.published("run") == unbroken


def test_a_folder_with_other_files_is_refused(dummy):
    (dummy.folder / "run").mkdir(parents=True)
    (dummy.folder / "run" / "thesis.tex").write_text("years of work")
    code, facts = dummy.run("run", **JOB)
    assert code == 2
    assert "'thesis.tex' but no run of this command" in facts["error"]
    assert [path.name for path in (dummy.folder / "run").iterdir()] == ["thesis.tex"]


def test_many_workers_starting_at_once_publish_one_plan(dummy, unbroken):
    together(dummy, "run", 6, **JOB)
    assert dummy.published("run") == unbroken


def test_rejected_pixels_are_stored_when_asked_for_and_private(dummy):
    dummy.run("run", keep_rejects=True, **JOB)
    folder = dummy.folder / "run" / "rejects"
    stored = sorted(path.stem for path in folder.rglob("*.png"))
    assert folder.stat().st_mode & 0o777 == 0o700
    rejected = sum(
        json.loads(path.read_bytes())["reasons"].get("signal.entropy", 0)
        for path in (dummy.folder / "run").rglob("*.done")
    )
    assert len(stored) == rejected > 0


IN_A_NAMESPACE = (
    "mount -t tmpfs -o {options} none {mount} && "
    "{python} {dummy} {run} {job}; code=$?; mount -o remount,rw,size=64m {mount} && cp -a {run}/. {copy}; exit $code"
)


def in_small_disk(tmp_path, options, job):
    """Run the dummy worker on a tmpfs of its own (a private mount namespace); its files are copied out."""
    if subprocess.run(["unshare", "--mount", "--map-root-user", "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let this user make a mount namespace, and so no small disk")
    mount, copy = tmp_path / "mount", tmp_path / "copy"
    mount.mkdir()
    copy.mkdir()
    quoted = {
        "options": options,
        "mount": mount,
        "python": sys.executable,
        "dummy": TESTS / "dummy_worker.py",
        "run": mount / "run",
        "job": f"'{json.dumps(job)}'",
        "copy": copy,
    }
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", IN_A_NAMESPACE.format(**quoted)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(TESTS.parent)}, capture_output=True, text=True, timeout=120
    )
    return done, copy


def test_a_full_disk_is_one_line_and_loses_nothing(dummy, unbroken, tmp_path):
    for size in (60, 100, 140):  # kilobytes: the disk fills at the beginning, in the middle, near the end
        folder = tmp_path / str(size)
        folder.mkdir()
        done, copy = in_small_disk(folder, f"size={size}k", JOB)
        assert done.returncode == 2, done.stderr
        error = json.loads(done.stdout)["error"]
        assert "No space left on device: the disk is full" in error
        assert "\n" not in error
        made = len(list(copy.rglob("*.done")))
        target = dummy.folder / f"full{size}"
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(copy, target)
        code, facts = dummy.run(f"full{size}", **JOB)
        assert code == 0
        assert dummy.published(f"full{size}") == unbroken
        assert made == 0 or len(facts["made"]) < 24


def test_a_read_only_directory_is_one_line(tmp_path):
    done, _ = in_small_disk(tmp_path, "size=1m,ro", JOB)
    assert done.returncode == 2, done.stderr
    error = json.loads(done.stdout)["error"]
    assert "Read-only file system: the file system is read-only; choose another run directory" in error
