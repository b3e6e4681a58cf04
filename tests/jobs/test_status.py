"""What `genir status` says of a run while real workers come, go and die."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from processes import TESTS

from genir.jobs.status import status

JOB = {"prompts": 60, "batch": 3, "shard_size": 10, "stats": True}


def genir(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "genir", "status", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        capture_output=True,
        text=True,
        timeout=100,
    )


def wait_for(condition):
    while not condition():
        time.sleep(0.02)


def workers(root):
    return {worker.state: worker for worker in status(str(root)).workers}


def edit(root, **facts):
    """Change the one statistics file of a run."""
    (path,) = (root / "stats").iterdir()
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **facts}))


def test_from_the_first_worker_to_the_goal(dummy):
    root = dummy.folder / "run"
    killed = dummy.start("run", sleep=0.1, **JOB)
    wait_for(lambda: list(root.glob("stats/*.json")) and list(root.glob("image/*.done")))
    there = status(str(root))
    assert (there.code, there.summary.state) == (75, "open")
    (worker,) = there.workers
    assert worker.state == "at work"
    assert str(killed.pid) in worker.name
    killed.kill()
    killed.communicate()
    stopped = dummy.start("run", sleep=0.1, **JOB)
    wait_for(lambda: len(list(root.glob("stats/*.json"))) == 2)
    assert set(workers(root)) == {"gone", "at work"}
    stopped.send_signal(signal.SIGTERM)
    stopped.communicate()
    assert set(workers(root)) == {"gone", "ended"}
    text = "\n".join(status(str(root)).lines())
    assert "1 worker gone (killed): 0 images, 0 kept\n  1 worker ended:" in text, "each kind is one line"
    assert text.endswith("goal of the latest launch: all tasks: open, no worker is at work")
    assert dummy.run("run", **JOB)[0] == 0
    done = status(str(root))
    assert (done.code, done.summary.done, done.seconds_left) == (0, 60, None)
    assert done.summary.kept + done.summary.reasons.total() == 60


def test_rates_and_the_time_left(dummy):
    root = dummy.folder / "run"
    assert dummy.run("run", limit=30, reject="none", **JOB)[0] == 0
    (root / "goal.json").write_text('{"limit": null, "kept": null}')
    edit(root, judged=30, seconds=10.0, ended=False, heartbeat=time.time(), pid=os.getpid())
    going = status(str(root))
    assert (going.rate, going.seconds_left) == (3.0, 10.0)
    assert "at work, 30 images, 30 kept, 3.00 images/s" in going.lines()[1]
    assert going.lines()[-1].endswith("all tasks: open, about 10 s left at 3.00 images/s")
    edit(root, judged=0, seconds=0.0)
    assert status(str(root)).lines()[-1].endswith("all tasks: open, the first batches are being made")
    edit(root, judged=30, seconds=10.0)
    (root / "goal.json").write_text('{"limit": null, "kept": 36}')
    assert status(str(root)).seconds_left == 2.0, "six more are to be kept, and all were so far"
    assert status(str(root)).facts()["workers"][0]["images_per_second"] == 3.0


@pytest.mark.parametrize(
    ("minutes", "state", "text"),
    [
        (4, "at work", "at work, 30 images"),
        (12, "silent", "silent, no heartbeat for 12 min"),
        (70, "gone", "1 worker gone"),
    ],
)
def test_a_worker_elsewhere_that_says_nothing_is_told(dummy, minutes, state, text):
    root = dummy.folder / "run"
    dummy.run("run", limit=30, **JOB)
    edit(root, ended=False, host="elsewhere", heartbeat=time.time() - 60 * minutes)
    assert set(workers(root)) == {state}
    assert text in "\n".join(status(str(root)).lines())


def test_a_clock_that_jumped_and_files_of_others_do_no_harm(dummy):
    root = dummy.folder / "run"
    dummy.run("run", limit=30, **JOB)
    edit(root, ended=False, host="elsewhere", heartbeat=time.time() + 1e6)
    (root / "stats" / "notes.json").write_text("[]")
    (root / "stats" / "torn.json").write_text('{"host": "a"')
    assert set(workers(root)) == {"at work"}


def test_json_is_for_programs(dummy):
    dummy.run("run", target=30, **JOB)
    (dummy.folder / "run" / "goal.json").write_text('{"limit": null, "kept": 30}')
    done = genir(dummy.folder / "run", "--json")
    facts = json.loads(done.stdout)
    assert (done.returncode, facts["state"], facts["target"]) == (0, "reached", 30)
    assert facts["kept"] >= 30
    assert facts["reasons"] == {"signal.entropy": facts["done"] - facts["kept"]}
    assert facts["workers"][0]["state"] == "ended"


def test_watching_ends_with_the_run(dummy):
    worker = dummy.start("run", sleep=0.1, **JOB)
    wait_for(lambda: (dummy.folder / "run" / "image").exists())
    done = genir(dummy.folder / "run", "--watch", "0.2")
    worker.communicate()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("goal of the latest launch: all tasks: open") >= 1
    assert done.stdout.endswith("all tasks: reached\n")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_a_time_that_is_none_is_refused(seconds):
    done = genir("here", f"--watch={seconds}")
    assert done.returncode == 2
    assert f"{seconds!r}: expected seconds" in done.stderr


def test_no_heavy_library_is_imported(dummy):
    dummy.run("run", **JOB)
    code = "import sys\nfrom genir import cli\ncode = cli.run(['status', sys.argv[1]])\n"
    code += "print([name for name in ('torch', 'numpy', 'pyarrow', 'pydantic') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(dummy.folder / "run")],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.endswith("[]\n")
