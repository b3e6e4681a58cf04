"""Weights: exact shares, whole rounds, and the plan of before where all weights are 1."""

import random
from collections import Counter

import pytest

from genir.errors import PromptError
from genir.plan import Plan
from genir.records import Prompt
from genir.weighted import Weighted

CATEGORIES = ("fur", "rock", "food", "aerial")


class Prompts:
    def __init__(self, prompts):
        self.prompts, self.count = prompts, len(prompts)

    def read(self, start, stop):
        assert 0 <= start < stop <= self.count
        yield from self.prompts[start:stop]


def bank(count):
    return Prompts(
        [Prompt(f"p{i}", CATEGORIES[i % 4], tags=("big",) if i % 3 == 0 else ("small",)) for i in range(count)]
    )


def drawn(weights, replicas=1, count=1200):
    weighted = Weighted(bank(count), weights, replicas)
    return list(weighted.read(0, weighted.count))


def test_categories_get_their_share_exactly():
    counts = Counter(prompt.category for prompt in drawn({"fur": 2, "rock": 0.5, "aerial": 0}))
    assert counts == {"fur": 600, "rock": 150, "food": 300}


def test_tags_multiply():
    counts = Counter((p.category, p.tags[0]) for p in drawn({"fur": 3, "big": 0.5}))
    assert counts == {
        ("fur", "big"): 150,
        ("fur", "small"): 600,
        **{(name, "big"): 50 for name in CATEGORIES[1:]},
        **{(name, "small"): 200 for name in CATEGORIES[1:]},
    }


def test_a_half_takes_every_second_prompt_and_replicas_fill_the_gaps():
    halves = [prompt.text for prompt in drawn({"fur": 0.5}) if prompt.category == "fur"]
    assert halves[:3] == ["p4", "p12", "p20"]
    both = Counter(prompt.text for prompt in drawn({"fur": 0.5}, replicas=2) if prompt.category == "fur")
    assert set(both.values()) == {1}
    assert len(both) == 300


def test_the_first_round_shows_every_prompt_before_any_comes_again():
    texts = [prompt.text for prompt in drawn({"fur": 3}, count=100)]
    assert texts[:100] == [f"p{i}" for i in range(100)]
    assert texts[100:] == 2 * [f"p{i}" for i in range(0, 100, 4)]


def test_weights_of_one_change_nothing():
    prompts = bank(50)
    plain = Plan(prompts, 3, 4, ((64, 64), (64, 96)), 4, 16)
    weighted = Plan(Weighted(prompts, {"fur": 1.0}, 4), 3, 1, ((64, 64), (64, 96)), 4, 16)
    assert [weighted.tasks(shard) for shard in range(weighted.n_shards)] == [
        plain.tasks(shard) for shard in range(plain.n_shards)
    ]


@pytest.mark.parametrize("weights", [{"fur": 2.7, "small": 0.3}, {"rock": 0.01}, {"big": 5}])
def test_any_part_can_be_read_alone(weights):
    weighted = Weighted(bank(13_000), weights, 2)  # more than three blocks
    whole = list(weighted.read(0, weighted.count))
    assert len(whole) == weighted.count
    rng = random.Random(0)
    for _ in range(60):
        start = rng.randrange(weighted.count)
        stop = min(weighted.count, start + rng.choice([1, 7, 128, 5000]))
        assert list(weighted.read(start, stop)) == whole[start:stop]


def test_thirds_add_up():
    assert len(drawn({"fur": 1 / 3}, replicas=3)) == 4 * 300 * 3 - 600


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"furr": 2}, "weights.furr: no prompt has this category or tag"),
        (dict.fromkeys(CATEGORIES, 0), "weights: no prompt is left; give one of the categories a weight above 0"),
        ({"fur": 70_000}, "weights: 70000 images of the prompt 'p0'; at most 65535"),
    ],
)
def test_what_makes_no_plan_is_refused(weights, message):
    with pytest.raises(PromptError) as caught:
        Weighted(bank(40), weights, 1)
    assert str(caught.value) == message
