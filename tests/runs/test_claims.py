"""Which shard is next, step by step in one process."""

import pytest

from genir.errors import ShardError
from genir.plan import Plan
from genir.ranks import Worker
from genir.records import Prompt
from genir.runs.claims import Claims
from genir.runs.run import open_run

COLUMNS = {"key": "string", "verdict": "string", "reason": "string"}


class Prompts:
    count = 24

    def read(self, start, stop):
        return (Prompt(f"prompt {index}") for index in range(start, stop))


def claims(root, limit=None, target=None):
    plan = Plan(Prompts(), 0, 1, ((8, 8),), 2, 4)
    run = open_run(root, plan, COLUMNS, {}, {}, {}, Worker())
    return Claims(run, limit, target, lambda: False)


def make(claimed, batches=None):
    for tasks in claimed.batches[:batches]:
        claimed.writer.add([{"key": task.key, "verdict": "kept", "reason": ""} for task in tasks], {})


def test_with_a_target_a_gap_that_a_dead_worker_left_comes_first(tmp_path):
    dead, alive = iter(claims(tmp_path, target=8)), claims(tmp_path, target=8)
    left = next(dead)
    assert left.shard == 0
    made = []
    for claimed in alive:
        with claimed.writer:
            made.append(claimed.shard)
            if len(made) == 1:
                with left.writer:  # as kill -9 does it: the lock is gone, the batch that was made stays
                    make(left, 1)
            make(claimed)
            claimed.writer.finish(claimed.covered)
    assert made == [1, 0], "shard 0 was all that the target still needed"
    assert alive.target_reached()


def test_a_smaller_limit_says_how_far_a_longer_launch_had_come(tmp_path):
    for claimed in claims(tmp_path):
        with claimed.writer:  # both batches are safe, the shard is not finished
            make(claimed)
        break
    for claimed in claims(tmp_path, limit=1):
        with claimed.writer:
            assert claimed.batches == []
            marker = claimed.writer.finish(claimed.covered)
            assert (marker.tasks, marker.covered) == (4, 4)


def test_a_run_directory_moved_under_a_worker_is_one_line_and_leaves_no_ghost(tmp_path):
    going = iter(claims(tmp_path / "run"))
    first = next(going)
    with first.writer:
        make(first)
        first.writer.finish(first.covered)
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    with pytest.raises(ShardError, match=r"the run directory was moved or removed.*run=") as caught:
        next(going)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
