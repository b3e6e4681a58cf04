"""Composed prompts: pure functions of the seed, distinct, in exact shares, and readable."""

import re
from collections import Counter
from itertools import islice

import pytest

from genir.errors import PromptError
from genir.promptbank import grammar
from genir.promptbank.compose import compose, quotas
from genir.promptbank.wording import with_article
from genir.promptbank.words import skeleton

COUNT = 5000


@pytest.fixture(scope="module")
def words():
    return grammar.load()


@pytest.fixture(scope="module")
def prompts(words):
    return list(compose(words, quotas(COUNT, dict.fromkeys(words.categories, 1.0)), seed=3))


def test_equal_seeds_give_equal_prompts_and_others_give_others(words, prompts):
    counts = quotas(COUNT, dict.fromkeys(words.categories, 1.0))
    assert list(islice(compose(words, counts, seed=3), 300)) == prompts[:300]
    others = {prompt.text for prompt in islice(compose(words, counts, seed=4), 300)}
    assert len(others & {prompt.text for prompt in prompts}) < 3


def test_every_prompt_is_distinct_whatever_its_case(prompts):
    assert len({prompt.text.lower() for prompt in prompts}) == COUNT
    assert len({prompt.id for prompt in prompts}) == COUNT


def test_counts_are_exact_and_categories_take_turns(words, prompts):
    counts = Counter(prompt.category for prompt in prompts)
    assert counts == quotas(COUNT, dict.fromkeys(words.categories, 1.0))
    n = len(words.categories)
    assert all(len({prompt.category for prompt in prompts[i : i + n]}) >= n - 2 for i in range(0, COUNT - n, 7))


def test_shares_are_kept_to_the_last_prompt(words):
    counts = quotas(1000, {"fur": 2.0, "rock": 1.0, "aerial": 0.0, "food": 0.5})
    assert counts == {"fur": 571, "rock": 286, "aerial": 0, "food": 143}
    found = [prompt.category for prompt in compose(words, counts, seed=0)]
    assert Counter(found) == {"fur": 571, "rock": 286, "food": 143}
    for end in range(1, 1000):  # at any place, too: `limit` takes the first ones
        assert abs(found[:end].count("fur") - end * 0.571) <= 1.5


def test_both_styles(prompts, words):
    sentences = [prompt for prompt in prompts if prompt.text.endswith(".")]
    assert 0.45 < len(sentences) / COUNT < 0.55
    assert all(prompt.text[0].isupper() and prompt.tags[0] == "sentence" for prompt in sentences)
    assert all(prompt.text.count(", ") >= 4 for prompt in prompts if prompt.tags[0] == "tag-list")
    only = compose(words, {"fur": 50}, seed=0, sentences=1.0)
    assert all(prompt.text.endswith(".") for prompt in only)


def test_every_subject_comes_before_any_comes_again(words):
    subjects = {s.text for group in words.categories["food"].groups for s in group.subjects}
    first = list(compose(words, {"food": len(subjects)}, seed=0))
    assert {prompt.tags[2] for prompt in first} == subjects


def test_words_fit_together(prompts, words):
    for prompt in prompts:
        found = set(re.findall(r"[a-zA-Z]+(?:['-][a-zA-Z]+)*", prompt.text))
        for word in found & words.clashes.keys():
            assert not words.clashes[word] & found, prompt.text


def test_form(prompts):
    assert [p.text for p in prompts if not p.text.isascii() or "  " in p.text or " ," in p.text] == []
    assert [p.text for p in prompts if re.search(r"[\[\]{}~=$/]|\ba (?!eu|one-)[aeio]", p.text)] == []
    assert [p.text for p in prompts if not 5 <= len(p.text.split()) <= 45] == []
    assert {p.licence for p in prompts} == {"CC0-1.0"}


def test_no_skeleton_dominates(prompts):
    shares = Counter(skeleton(prompt.text) for prompt in prompts).most_common(1)
    assert shares[0][1] / COUNT < 0.003  # of so few; the benchmark looks at a million


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("beagle", "a beagle"),
        ("old church", "an old church"),
        ("hourglass", "an hourglass"),
        ("unicycle", "a unicycle"),
        ("umbrella", "an umbrella"),
        ("European robin", "a European robin"),
        ("Afghan hound", "an Afghan hound"),
        ("one-eyed cat", "a one-eyed cat"),
    ],
)
def test_articles(phrase, expected):
    assert with_article(phrase) == expected


def test_what_cannot_be_composed_is_refused(words):
    with pytest.raises(PromptError, match="no category 'people'; the grammar has aerial"):
        next(compose(words, {"people": 3}, seed=0))
    with pytest.raises(PromptError, match="shares of the categories are all zero"):
        quotas(10, {"fur": 0.0})


def test_a_vocabulary_that_is_used_up_says_so(words):
    from genir.promptbank.grammar import Category, Grammar, Group, Subject

    lists = {"looks": ("red",), "traits": ("dots", "lines", "rings", "dust"), "places": ("in a box",)}
    lists |= {"light": ("at noon",), "views": ("from above",), "openings": ("view of",), "does": (), "behind": ()}
    group = Group("g", (Subject("ball", "one"),), lists, (("lies", "lie"),), "")
    tiny = Grammar({"a": Category("a", "", (group,))}, ("{s} {verb} {place}.",), {})
    with pytest.raises(PromptError, match="category a: no new prompt in 1000 draws; ask for fewer than 100"):
        list(compose(tiny, {"a": 100}, seed=0, sentences=1.0))
