"""The work list: a pure function of the configuration, cut into shards and batches that never move."""

import random

import pytest

from genir.errors import PlanError
from genir.plan import MAX_SHARDS, MAX_TASKS, Plan
from genir.records import Prompt

ONE_SIZE = ((64, 96),)
SIZES = ((64, 64), (64, 96), (96, 64))


class Prompts:
    def __init__(self, count):
        self.count = count
        self.records_read = 0

    def read(self, start, stop):
        assert 0 <= start < stop <= self.count
        for index in range(start, stop):
            self.records_read += 1
            yield Prompt(f"prompt {index}")


def make(prompts=25, seed=0, replicas=3, sizes=SIZES, batch=4, shard_size=10):
    return Plan(Prompts(prompts), seed, replicas, sizes, batch, shard_size)


PLANS = [
    {"sizes": ONE_SIZE},
    {"sizes": SIZES},
    {"sizes": SIZES, "batch": 1},
    {"sizes": SIZES, "batch": 100},
    {"sizes": ONE_SIZE, "batch": 3, "shard_size": 7},
    {"prompts": 1, "replicas": 1},
    {"prompts": 5, "replicas": 5, "shard_size": 25},
    {"prompts": 5, "replicas": 7, "shard_size": 12},
    {"prompts": 3, "replicas": 40, "shard_size": 100},
]


def tasks_of(plan):
    return [task for shard in range(plan.n_shards) for task in plan.tasks(shard)]


@pytest.mark.parametrize("options", PLANS, ids=str)
def test_two_plans_of_one_configuration_are_equal_in_any_order_of_asking(options):
    one, two = make(**options), make(**options)
    shards = list(range(one.n_shards))
    random.Random(0).shuffle(shards)
    shuffled = {shard: two.batches(shard) for shard in shards}
    assert [one.batches(shard) for shard in range(one.n_shards)] == [shuffled[shard] for shard in sorted(shards)]


@pytest.mark.parametrize("options", PLANS, ids=str)
def test_every_task_is_there_once_in_key_order_with_its_prompt(options):
    plan = make(**options)
    count = plan.prompts.count
    tasks = tasks_of(plan)
    assert [task.key for task in tasks] == [f"{index:09d}" for index in range(plan.n_tasks)]
    # replica by replica: the first tasks cover every prompt once
    assert [task.prompt.text for task in tasks] == [f"prompt {index % count}" for index in range(plan.n_tasks)]
    assert plan.n_tasks == count * plan.replicas


@pytest.mark.parametrize("options", PLANS, ids=str)
def test_batches_hold_each_task_of_the_shard_once_and_one_size(options):
    plan = make(**options)
    for shard in range(plan.n_shards):
        tasks, batches = plan.tasks(shard), plan.batches(shard)
        assert len(tasks) <= plan.shard_size
        assert sorted((task for batch in batches for task in batch), key=lambda task: task.key) == tasks
        firsts = [batch[0].key for batch in batches]
        assert firsts == sorted(firsts)
        for batch in batches:
            assert len({(task.height, task.width) for task in batch}) == 1
            assert len(batch) <= plan.batch
            assert [task.key for task in batch] == sorted(task.key for task in batch)
        # full but for the last of each size
        small = [(batch[0].height, batch[0].width) for batch in batches if len(batch) < plan.batch]
        assert len(small) == len(set(small))


def test_sizes_are_drawn_evenly_and_do_not_depend_on_batches_or_shards():
    plan = make(prompts=3000, replicas=1, batch=4, shard_size=128)
    other = make(prompts=3000, replicas=1, batch=7, shard_size=1000)
    tasks = tasks_of(plan)
    assert tasks == tasks_of(other)
    drawn = [(task.height, task.width) for task in tasks]
    assert all(880 < drawn.count(size) < 1120 for size in SIZES)  # 4.6 standard deviations


def test_the_noise_depends_on_the_runs_seed_and_the_key_alone():
    tasks = tasks_of(make(seed=0))
    assert [t.seed for t in tasks] == [t.seed for t in tasks_of(make(seed=0, prompts=75, replicas=1, sizes=ONE_SIZE))]
    assert not {t.seed for t in tasks} & {t.seed for t in tasks_of(make(seed=1))}


def test_the_noise_of_a_hundred_thousand_tasks_is_distinct():
    plan = make(prompts=1000, replicas=100, sizes=ONE_SIZE, shard_size=1000)
    assert len({task.seed for task in tasks_of(plan)}) == 100_000


def test_sizes_and_noise_of_a_task_never_change():
    # what every multi-size run in the world relies on; the size is drawn apart from the noise
    tasks = make(seed=3).tasks(0)
    assert [SIZES.index((task.height, task.width)) for task in tasks] == [2, 2, 0, 0, 2, 2, 0, 2, 2, 1]
    assert tasks[1].seed == 8762922285649476405


def test_a_smaller_plan_is_the_beginning_of_a_larger_one():
    few, many = make(replicas=1), make(replicas=3)
    assert tasks_of(many)[: few.n_tasks] == tasks_of(few)


@pytest.mark.parametrize(
    ("limit", "shards"), [(None, 8), (1, 1), (9, 1), (10, 1), (11, 2), (75, 8), (76, 8), (10**9, 8)]
)
def test_shards_within_a_limit(limit, shards):
    assert make().shards_within(limit) == shards  # 75 tasks, ten a shard


def test_the_last_shard_is_smaller():
    plan = make()
    assert [len(plan.tasks(shard)) for shard in (0, 6, 7)] == [10, 10, 5]
    assert plan.tasks(8) == []


def test_only_the_prompts_of_a_shard_are_read():
    plan = make(prompts=10**8, replicas=1, shard_size=128)
    assert plan.prompts.records_read == 0
    plan.batches(700_000)
    assert plan.prompts.records_read == 128


def test_the_largest_plan_fits_its_keys_and_one_more_task_does_not():
    plan = make(prompts=MAX_TASKS, replicas=1, sizes=ONE_SIZE, shard_size=1000)
    (last,) = plan.tasks(plan.n_shards - 1)[-1:]
    assert (last.key, plan.n_shards) == ("999999999", MAX_SHARDS)
    with pytest.raises(PlanError) as caught:
        make(prompts=MAX_TASKS + 1, replicas=1, shard_size=10**6)
    assert str(caught.value) == (
        "1000000001 tasks in 1001 shards: at most 1000000000 tasks and 1000000 shards a run; "
        "lower replicas, raise shard_size or split the prompt files over several runs"
    )


def test_too_many_shards():
    with pytest.raises(PlanError, match="1000001 tasks in 1000001 shards"):
        make(prompts=MAX_SHARDS + 1, replicas=1, shard_size=1)
