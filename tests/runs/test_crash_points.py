"""End a worker before, in the middle of and after every single change of the disk; the next one must put it right.

The worker is forked from this process (no torch in it), so that every point of a whole run can be tried.
"""

import shutil

import pytest
from processes import forked, published

pytestmark = pytest.mark.timeout(900)  # half a minute on a quiet machine

SMALL = {"prompts": 10, "batch": 2, "shard_size": 6, "sizes": [[8, 8], [8, 12]]}


def leftovers(root):
    return [path.name for path in root.rglob("*") if path.suffix in (".part", ".journal", ".tmp", ".bad")]


def survive_every_crash(tmp_path, before, crashing, finish):
    """`before` runs whole, `crashing` is ended at each point, `finish` must then equal an unbroken run."""
    unbroken = tmp_path / "unbroken"
    for options in (*before, *finish):
        assert forked(unbroken, **options)[0] == 0
    expected = published(unbroken)
    start, counted = tmp_path / "start", tmp_path / "counted"
    start.mkdir()
    for options in before:
        assert forked(start, **options)[0] == 0
    shutil.copytree(start, counted)
    changes = forked(counted, **crashing)[1]["changes"]
    assert len(changes) > 20
    # the state after a change is the state before the next one; a write may also end half way
    points = [(number, "before") for number in range(1, len(changes) + 1)]
    points += [(number, "torn") for number, name in enumerate(changes, 1) if name == "write"]
    for point, when in [*points, (len(changes), "after")]:
        root = tmp_path / f"{point}-{when}"
        shutil.copytree(start, root)
        crashed, _ = forked(root, **crashing, crash_at=point, crash_when=when)
        assert crashed == 9, "the crash point was not reached"
        repeated = []
        for options in finish:
            code, facts = forked(root, **options)
            assert code == 0, (point, when, facts)
            repeated += facts["made"]
        assert published(root) == expected, (point, when)
        assert len(repeated) == len(set(repeated))


def test_every_crash_point_of_a_whole_run(tmp_path):
    survive_every_crash(tmp_path, [], SMALL, [SMALL])


def test_every_crash_point_of_an_all_rejected_run(tmp_path):
    nothing = {**SMALL, "reject": "all", "prompts": 6}
    survive_every_crash(tmp_path, [], nothing, [nothing])


def test_every_crash_point_of_growing_a_finished_shard(tmp_path):
    one = {**SMALL, "prompts": 6, "sizes": [[8, 8]], "reject": "none"}
    survive_every_crash(
        tmp_path, [{**one, "limit": 2}], {**one, "limit": 4}, [{**one, "limit": 1}, one]
    )  # smaller, then all


def test_a_finished_run_leaves_no_scratch_files(tmp_path):
    assert forked(tmp_path / "run", **SMALL)[0] == 0
    assert leftovers(tmp_path / "run") == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_loses_at_most_the_batches_in_flight(tmp_path, when):
    changes = forked(tmp_path / "counted", **SMALL)[1]["changes"]
    for point in range(1, len(changes), 5):
        mark = tmp_path / f"{point}.log"
        for options in ({"crash_at": point, "crash_when": when}, {}):
            forked(tmp_path / str(point), **SMALL, mark=str(mark), **options)
        begun = mark.read_text().split()
        # one batch was being made, one was queued and one was being written when the process ended
        assert len(begun) - len(set(begun)) <= 3, point
