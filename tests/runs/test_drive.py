"""The device never waits for what can go on beside it, and nothing is lost by that."""

import threading
import time

import pytest
from dummy_worker import Prompts, picture
from processes import published

from genir import ranks
from genir.errors import PlanError, ShardError, Stopped
from genir.plan import Plan
from genir.records import Sample, Verdict
from genir.runs.claims import Claims
from genir.runs.drive import Guard, Stage, drive
from genir.runs.run import open_run
from genir.runs.saver import BASE_COLUMNS, Packing

WAIT = 20  # seconds until a test that would wait for ever fails


class Job:
    """Six batches of two tasks in three shards; `events` says what began and ended, in order."""

    def __init__(self, root, make=lambda first: None, judge=lambda first: None, verdict=None):
        plan = Plan(Prompts(12), 0, 1, ((8, 8),), 2, 4)
        self.run = open_run(root, plan, BASE_COLUMNS, {}, {}, {}, ranks.Worker())
        self.events, self._make, self._judge = [], make, judge
        self.verdict = verdict or Verdict("kept")

    def make(self, batches):
        for tasks in batches:
            first = int(tasks[0].key)
            self.events.append(("make", first))
            self._make(first)
            yield [Sample(task, picture(task)) for task in tasks]

    def judge(self, samples):
        first = int(samples[0].task.key)
        self._judge(first)
        for sample in samples:
            sample.verdict = self.verdict
        self.events.append(("judged", first))

    def drive(self, min_keep=0.0, after=1, stop=lambda: False):
        claims = Claims(self.run, None, None, stop)
        packing = Packing("png", 1, {}, None)
        return drive(claims, Stage(self.make, self.judge), packing, Guard(min_keep, after), stop, lambda tally: None)

    def finished(self):
        return [shard for shard in range(3) if self.run.shard(shard).marker.exists()]


@pytest.mark.parametrize("first", [0, 2], ids=["in a shard", "over the end of a shard"])
def test_a_batch_is_judged_while_the_next_one_is_made(tmp_path, first):
    begun = {2 * number: threading.Event() for number in range(6)}

    def judge(batch):
        if batch == first:
            assert begun[first + 2].wait(WAIT), "the device waited for the gates"

    job = Job(tmp_path / "run", lambda batch: begun[batch].set(), judge)
    assert job.drive().judged == 12
    assert job.events.index(("make", first + 2)) < job.events.index(("judged", first))
    assert job.finished() == [0, 1, 2]


def test_batches_do_not_pile_up_where_saving_is_slower(tmp_path):
    job = Job(tmp_path / "run", judge=lambda batch: time.sleep(0.02))
    tally = job.drive()
    made = [index for index, event in enumerate(job.events) if event[0] == "make"]
    for position in made:
        before = job.events[: position + 1]
        in_memory = sum(kind == "make" for kind, _ in before) - sum(kind == "judged" for kind, _ in before)
        assert in_memory <= 3, "one is made, one waits, one is saved"
    assert tally.waiting > 0.02


def test_the_order_of_work_does_not_change_the_files(tmp_path):
    for name, delays in (("slow gates", (0, 0.01)), ("slow device", (0.01, 0))):
        job = Job(tmp_path / name, lambda _, s=delays[0]: time.sleep(s), lambda _, s=delays[1]: time.sleep(s))
        job.drive()
    assert published(tmp_path / "slow gates") == published(tmp_path / "slow device") != {}


def test_the_seconds_say_where_the_time_went(tmp_path):
    tally = Job(tmp_path / "run", lambda _: time.sleep(0.1), lambda _: time.sleep(0.05)).drive()
    assert tally.making == pytest.approx(0.6, rel=0.5)
    assert tally.tail >= 0.05
    assert tally.making + tally.waiting + tally.tail <= tally.seconds
    assert tally.efficiency == tally.making / tally.seconds


def test_what_fails_beside_the_device_stops_the_run_and_frees_the_claims(tmp_path):
    def judge(batch):
        if batch == 4:
            raise ShardError("the disk is full")

    job = Job(tmp_path / "run", judge=judge)
    with pytest.raises(ShardError, match="the disk is full"):
        job.drive()
    assert ("judged", 6) not in job.events, "nothing follows what failed"
    assert job.finished() == [0]
    assert Job(tmp_path / "run").drive().judged == 8


def test_a_stop_saves_what_was_made(tmp_path):
    def make(batch):
        if batch == 6:
            raise Stopped("asked to stop")

    job = Job(tmp_path / "run", make)
    tally = job.drive(stop=lambda: ("make", 6) in job.events)
    assert tally.judged == 6
    assert job.finished() == [0]
    assert Job(tmp_path / "run").drive().judged == 6


def test_the_guard_also_sees_the_batches_that_were_saved_last(tmp_path):
    job = Job(tmp_path / "run", verdict=Verdict("rejected", "face"))
    with pytest.raises(PlanError, match=r"only 0 of 12 images were kept.*face 12"):
        job.drive(min_keep=0.5, after=12)
    assert job.finished() == [0, 1, 2]
