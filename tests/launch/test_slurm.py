"""The shipped scripts, submitted to a real SLURM: stopped by a signal, requeued, joined, finished, byte-equal."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trainsets
from backbone import tiny
from processes import TESTS, published
from slurm import Slurm

from genir.jobs.status import status

pytestmark = [
    pytest.mark.skipif(bool(Slurm.missing()), reason=Slurm.missing()),
    pytest.mark.xdist_group("slurm"),
    pytest.mark.timeout(1200),
]

ROOT = TESTS.parent
ENVIRONMENT = {
    **os.environ,
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
}
CONFIG = "configs/generate_embedded.yaml"
SMALL = [
    "gates={signal: {min_std: 4}, quality: {}}",
    "size=[64,64]",
    "steps=4",
    "batch=2",
    "shard_size=4",
    "device=cpu",
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """What one worker without SLURM publishes."""
    run = tmp_path_factory.mktemp("local") / "run"
    command = [sys.executable, "-m", "genir", "generate", CONFIG, *SMALL, "limit=60", f"run={run}"]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=170)
    return published(run)


@pytest.fixture
def job(cluster, tmp_path, monkeypatch):
    """Submits a script of launch/ as a user does: from a folder of their own, with options and overrides."""
    monkeypatch.chdir(tmp_path)

    def submit(name, *overrides, options=()):
        environment = {**ENVIRONMENT, "CONFIG": CONFIG, "RUN": "run"}
        return cluster.submit(ROOT / "launch" / name, *SMALL, *overrides, options=options, environment=environment)

    return submit


def wait(condition, what, seconds=400):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} took longer than {seconds} s\n{logs()}"
        time.sleep(0.1)


def logs():
    return "\n".join(path.read_text() for path in Path().glob("genir-*.log"))


def is_at_work():
    return any(path.stat().st_size for path in Path("run").glob("image/*.journal"))


def ended(cluster, *jobs):
    wait(
        lambda: all(cluster.show(job)["JobState"] not in ("PENDING", "RUNNING", "COMPLETING") for job in jobs), "a job"
    )
    return [cluster.show(job)["JobState"] for job in jobs]


def test_a_job_that_is_signalled_goes_back_into_the_queue_and_finishes(cluster, job, local, tmp_path):
    number = job("generate.slurm", "limit=60", options=["--ntasks=2"])
    wait(is_at_work, "the first batch")
    cluster.signal(number, "USR2")
    wait(lambda: cluster.show(number)["Restarts"] == "1", "to be requeued")
    assert status("run").code == 75
    assert ended(cluster, number) == ["COMPLETED"], logs()
    text = Path(f"genir-{number}.log").read_text()
    assert text.count("USR2: stopping after this step") == 2
    assert text.count("back into the queue") == 1
    assert [worker.state for worker in status("run").workers] == ["ended"] * 4, "two workers, two launches"
    assert published(tmp_path / "run") == local


@pytest.mark.slow
def test_an_array_of_three_joins_a_running_job(cluster, job, local, tmp_path):
    first = job("generate.slurm", "limit=60", options=["--ntasks=1"])
    wait(is_at_work, "the first batch")
    array = job("generate_array.slurm", "limit=60", options=["--array=0-2"])
    assert ended(cluster, first, *(f"{array}_{index}" for index in range(3))) == ["COMPLETED"] * 4
    assert sum(worker.images for worker in status("run").workers) == 60
    assert len(status("run").workers) >= 2
    assert published(tmp_path / "run") == local


def test_a_mistake_is_said_once_and_not_requeued(cluster, job):
    number = job("generate.slurm", "stpes=3", options=["--ntasks=1"])
    assert ended(cluster, number) == ["FAILED"]
    assert cluster.show(number)["ExitCode"] == "2:0"
    text = Path(f"genir-{number}.log").read_text()
    assert "genir: override 'stpes=3': unknown key stpes; did you mean steps?" in text
    assert "Traceback" not in text
    assert cluster.show(number)["Restarts"] == "0"


@pytest.mark.slow
def test_learning_goes_back_into_the_queue_and_ends_as_a_local_run_does(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainsets.pairs(Path("set"), 4)
    tiny.saved(tiny.sd(), Path("model"))
    Path("learn.yaml").write_text(
        "{model: model, data: {folder: set}, size: [64, 64], device: cpu, batch: 2, accumulation: 2, steps: 40,\n"
        " tokens: {positive: 2, negative: 2}, words: {positive: sharp photo, negative: blurry dirty},\n"
        " checkpoint: {every: 1}, validation: {every: null}}\n"
    )
    options = ["--ntasks-per-node=2", "--gpus-per-node=2"]
    environment = {**ENVIRONMENT, "CONFIG": "learn.yaml", "RUN": "run"}
    number = cluster.submit(ROOT / "launch" / "learn.slurm", options=options, environment=environment)
    wait(lambda: Path("run/log.jsonl").exists() and Path("run/log.jsonl").read_text(), "the first step")
    cluster.signal(number, "USR2")
    wait(lambda: cluster.show(number)["Restarts"] == "1", "to be requeued")
    assert not Path("run/dual.safetensors").exists()
    assert ended(cluster, number) == ["COMPLETED"], logs()
    command = [sys.executable, "-m", "genir", "learn", "learn.yaml", "run=local"]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=300)
    assert Path("run/dual.safetensors").read_bytes() == Path("local/dual.safetensors").read_bytes()
