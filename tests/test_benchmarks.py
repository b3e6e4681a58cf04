"""The benchmarks still run: every worker of theirs, on a few tiny pictures."""

import sys

import pytest
from processes import TESTS

sys.path.append(str(TESTS / "bench"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("script", ["job.py", "naive.py", "gather.py"])
def test_two_workers_make_every_picture(script, capfd):
    import throughput

    job = {"model": "simulated", "side": 64, "seconds": 0.01, "images": 8, "batch": 2, "shard": 4}
    rate, others, told = throughput.together(script, **job)
    assert sum(one["images"] for one in told) == 8
    assert 0 < rate < 2 / 0.01
    assert 0 <= others < 1


def test_a_small_plan_is_driven_to_its_last_shard(tmp_path, capsys):
    import plan

    seconds, megabytes, cost = plan.drive_all(tmp_path, 300)
    assert 0 < seconds < 60
    assert megabytes > 0  # Linux begins a child's peak at its parent's, and pytest's process is large
    assert 10 < cost < 100_000
    _, _, (told,) = plan.child("work", tmp_path / "run300", tmp_path / "300.jsonl", 300)
    assert '"judged": 44' in told
