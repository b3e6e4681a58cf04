"""Runs in an object store, with real processes against a real S3 server behind a faulty network."""

import json
import random
import signal
import subprocess
import sys
import time

import fsspec
import pytest
import s3
from processes import TESTS

from genir.runs.mirror import viewed
from genir.runs.summary import summarise

JOB = {"prompts": 30, "batch": 3, "shard_size": 10, "sizes": [[8, 8], [8, 12]], "beat": 0.5, "silence": 6}


@pytest.fixture(scope="module")
def port():
    with s3.server() as port:
        yield port


@pytest.fixture
def proxy(port):
    with s3.proxy(port) as proxy:
        yield proxy


@pytest.fixture
def worker(proxy, tmp_path):
    """Starts dummy workers on s3://bucket/<test>/NAME; each machine has a scratch folder of its own."""

    def start(name="run", machine="a", at="", **options):
        scratch = tmp_path / machine
        scratch.mkdir(exist_ok=True)
        environment = {**s3.environment(proxy.url, scratch), "PYTHONPATH": str(TESTS.parent)}
        return subprocess.Popen(
            [sys.executable, str(TESTS / "dummy_worker.py"), at or url(tmp_path, name), json.dumps({**JOB, **options})],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    started = []
    yield lambda *arguments, **options: started.append(start(*arguments, **options)) or started[-1]
    for process in started:
        process.kill()
        process.communicate()


def url(tmp_path, name="run"):
    return f"s3://{s3.BUCKET}/{tmp_path.name}/{name}"


def ended(process, code=0):
    out, err = process.communicate(timeout=150)
    assert process.returncode == code, (out, err)
    return json.loads(out)


def lease(tmp_path):
    return url(tmp_path) + "/leases/0-of-1.json"


def store(port):
    return fsspec.filesystem(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        key="test",
        secret="test",
        skip_instance_cache=True,
        use_listings_cache=False,
    )


def stored(port, tmp_path, name="run"):
    """Object -> content of a run, leases and logs aside."""
    files, root = store(port), url(tmp_path, name).removeprefix("s3://")
    lasting = [path for path in files.find(root) if path.endswith((".tar", ".parquet", ".done", ".bad"))]
    return {path.removeprefix(root + "/"): files.cat_file(path) for path in lasting}


@pytest.fixture
def unbroken(dummy):
    assert dummy.run("unbroken", **JOB)[0] == 0
    root = dummy.folder / "unbroken"
    return {name: (root / name).read_bytes() for name in dummy.published("unbroken")}


def wait_for(condition, process):
    until = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_run_in_a_store_is_the_local_run_and_takes_no_room_here(worker, unbroken, port, tmp_path):
    ended(worker())
    assert stored(port, tmp_path) == unbroken
    assert not [name for name in store(port).find(url(tmp_path)) if "/leases/" in name]
    here = [path for path in (tmp_path / "a").rglob("*") if path.suffix in (".tar", ".parquet")]
    assert here
    assert sum(path.stat().st_blocks for path in here) == 0, "finished shards are hollow here"
    assert ended(worker(machine="b"))["made"] == [], "another machine reads the markers"


@pytest.mark.slow
def test_a_local_file_system_without_locks_is_a_store_too(worker, unbroken, tmp_path):
    ended(worker(at=f"file://{tmp_path}/run"))
    assert {name: (tmp_path / "run" / name).read_bytes() for name in unbroken} == unbroken


@pytest.mark.slow
def test_parts_make_disjoint_shards(worker, unbroken, port, tmp_path):
    parts = [worker(machine=str(index), part=[index, 3]) for index in range(3)]
    made = [ended(part)["made"] for part in parts]
    assert all(made)
    assert len({key for keys in made for key in keys}) == sum(map(len, made)) == 12
    assert stored(port, tmp_path) == unbroken


@pytest.mark.parametrize("machine", ["a", pytest.param("b", marks=pytest.mark.slow)])
def test_a_kill_is_resumed_here_from_the_journal_and_elsewhere_from_the_markers(
    worker, unbroken, port, tmp_path, machine
):
    first = worker(sleep=1)
    wait_for(lambda: any(name.endswith(".done") for name in stored(port, tmp_path)), first)
    first.kill()
    first.communicate()
    made = ended(worker(machine=machine))["made"]
    assert 0 < len(made) < 12
    assert stored(port, tmp_path) == unbroken


@pytest.mark.slow
def test_a_finished_shard_that_was_not_uploaded_is_uploaded_later(worker, unbroken, port, proxy, tmp_path):
    proxy.plan = lambda number, line: "cut" if "PUT" in line and ".tar" in line else "pass"
    facts = ended(worker(patience=0), code=75)
    assert "no answer after repeated tries; nothing that was made is lost, run the same command again" in facts["error"]
    assert not [name for name in stored(port, tmp_path) if name.endswith(".done")], "the marker comes last"
    proxy.plan = lambda number, line: "pass"
    again = ended(worker())["made"]
    assert not set(facts["made"][:4]) & set(again)
    assert stored(port, tmp_path) == unbroken


@pytest.mark.parametrize("fate", ["503", "cut", pytest.param("lost", marks=pytest.mark.slow)])
def test_throttling_and_cut_connections_are_waited_out(worker, unbroken, port, proxy, tmp_path, fate):
    chance = random.Random(fate)
    proxy.plan = lambda number, line: fate if chance.random() < 0.3 else "pass"
    ended(worker())
    assert proxy.faults > 5
    proxy.plan = lambda number, line: "pass"
    assert stored(port, tmp_path) == unbroken


def test_a_store_that_stays_away_is_one_line_and_says_run_again(worker, proxy):
    proxy.plan = lambda number, line: "503"
    error = ended(worker(patience=2), code=75)["error"]
    assert "run the same command again" in error
    assert "\n" not in error


def test_a_missing_bucket_is_one_line_and_not_tried_again(worker, proxy):
    error = ended(worker(at="s3://missing/run"), code=2)["error"]
    assert error.startswith("s3://missing/run: ")
    assert error.endswith("create the bucket or name another (run=...)")
    assert proxy.requests < 6


def test_a_second_launch_is_refused(worker, unbroken, port, tmp_path):
    first = worker(sleep=3)
    wait_for(lambda: store(port).exists(lease(tmp_path)), first)
    others = [worker(machine="b"), worker(machine="c", part=[1, 2]), worker(machine="a")]
    for other in others:
        error = ended(other, code=2)["error"]
        assert "takes one launch at a time" in error
        assert "--part i/n" in error
    first.kill()
    ended(worker(machine="b"))
    assert stored(port, tmp_path) == unbroken


@pytest.mark.slow
def test_a_worker_that_was_still_for_too_long_finds_its_part_taken(worker, unbroken, port, tmp_path):
    first = worker(sleep=1)
    wait_for(lambda: any(name.endswith(".done") for name in stored(port, tmp_path)), first)
    first.send_signal(signal.SIGSTOP)
    before = json.loads(store(port).cat_file(lease(tmp_path)))["token"]
    second = worker(machine="b", sleep=1)

    def taken():
        name = lease(tmp_path)
        return store(port).exists(name) and json.loads(store(port).cat_file(name))["token"] != before

    wait_for(taken, second)
    first.send_signal(signal.SIGCONT)
    error = ended(first, code=2)["error"]
    assert "part 0/1 is held by a worker" in error
    ended(second)
    assert stored(port, tmp_path) == unbroken


@pytest.mark.slow
def test_a_truncated_object_is_not_believed(worker, unbroken, port, tmp_path):
    ended(worker())
    name = url(tmp_path) + "/image/000001.tar"
    store(port).pipe_file(name, store(port).cat_file(name)[:100])
    made = ended(worker(machine="b"))["made"]
    assert len(made) == 4
    after = stored(port, tmp_path)
    assert after.pop("image/000001.done.bad")
    assert after == unbroken


@pytest.mark.slow
def test_growth_goes_on_from_the_stored_shard(worker, unbroken, port, tmp_path):
    made = [batch for limit in (4, 17, None) for batch in ended(worker(machine=str(limit), limit=limit))["made"]]
    assert len(made) == len(set(made)), "what a smaller limit had made is fetched, not made again"
    assert stored(port, tmp_path) == unbroken


@pytest.mark.slow
def test_a_target_is_met_over_parts(worker, port, tmp_path):
    for part in range(2):
        ended(worker(machine=str(part), part=[part, 2], target=12))
    kept = [json.loads(data)["kept"] for name, data in sorted(stored(port, tmp_path).items()) if name.endswith(".done")]
    assert sum(kept) >= 12


@pytest.mark.slow
def test_another_program_s_folder_is_refused(worker, port, tmp_path):
    store(port).pipe_file(url(tmp_path) + "/thesis.tex", b"years of work")
    assert "holds 'thesis.tex' but no genir run" in ended(worker(), code=2)["error"]


@pytest.mark.slow
def test_another_run_is_refused_by_its_address(worker, port, tmp_path):
    ended(worker(limit=3))
    error = ended(worker(seed=5), code=2)["error"]
    assert error.startswith(f"{url(tmp_path)}: is another run: seed: 0 -> 5")


def test_a_run_can_be_looked_at(worker, proxy, tmp_path, monkeypatch):
    ended(worker(limit=12))
    for name, value in s3.environment(proxy.url, tmp_path).items():
        monkeypatch.setenv(name, value)
    with viewed(url(tmp_path)) as mirror:
        summary = summarise(mirror.root)
        assert (summary.shards_done, summary.done) == (2, 13)
    assert not list(tmp_path.glob("genir-*/run"))
