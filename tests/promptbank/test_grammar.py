"""The vocabulary: what it covers, that it is well formed, and that the screen has nothing against it."""

import re
from collections import Counter
from pathlib import Path

import pytest

from genir.errors import PromptError
from genir.promptbank import grammar
from genir.promptbank.screen import Screen
from genir.promptbank.wording import Template

LABELS = Path(__file__).with_name("imagenet_1k.txt")  # names as torchvision's weights have them
HUMAN = {"ballplayer", "groom", "scuba diver"}


@pytest.fixture(scope="module")
def words():
    return grammar.load()


def groups_of(words):
    return [group for category in words.categories.values() for group in category.groups]


def test_it_covers_the_non_human_classes_of_imagenet(words):
    def plain(text):
        return f" {' '.join(re.findall('[a-z0-9]+', text.lower()))} "

    labels = [label for label in LABELS.read_text(encoding="utf-8").splitlines() if label not in HUMAN]
    subjects = " ".join(plain(subject.text) for group in groups_of(words) for subject in group.subjects)
    covered = [label for label in labels if plain(label) in subjects]
    assert len(labels) == 997
    assert len(covered) / len(labels) >= 0.95


def test_the_scenes_that_restoration_needs_have_a_category(words):
    assert {
        *("architecture", "foliage", "fur", "feathers", "fabric", "food", "water", "rock", "night-city", "interiors"),
        *("machinery", "signs", "underwater", "macro", "aerial"),
    } <= words.categories.keys()


def test_more_than_ten_million_prompts_even_if_only_short_tag_lists_count(words):
    # subject with one look, two traits of many, one place and one light: the optional tags are not counted
    count = sum(
        len(group.subjects)
        * len(group.lists["looks"])
        * (len(group.lists["traits"]) * (len(group.lists["traits"]) - 1) // 2)
        * len(group.lists["places"])
        * len(group.lists["light"])
        for group in groups_of(words)
    )
    assert count > 50 * 10_000_000


def test_no_subject_stands_twice_in_a_category(words):
    for category in words.categories.values():
        counts = Counter(subject.text for group in category.groups for subject in group.subjects)
        assert [text for text, count in counts.items() if count > 1] == []


def test_lists_hold_no_item_twice(words):
    for group in groups_of(words):
        for name, items in group.lists.items():
            assert len(set(items)) == len(items), (group.name, name)


def test_the_screen_keeps_every_phrase(words):
    screen = Screen()
    phrases = {subject.text for group in groups_of(words) for subject in group.subjects}
    phrases |= {item for group in groups_of(words) for items in group.lists.values() for item in items}
    assert {phrase: screen.findings(phrase) for phrase in phrases if screen.findings(phrase)} == {}


def test_templates_use_known_slots(words):
    known = {"s", "t", "verb", "is", "has", "place", "light", "view", "does", "behind", "opening"}
    for text in words.sentences:
        assert Template.parse(text).slots <= known, text
        assert text.count("[") == text.count("]"), text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("category: a\n", "expected the keys category, negative and groups, found category"),
        ("- a\n", "expected a mapping of names to lists"),
        ("category: [", "cannot be read"),
        ("category: a\nnegative: b\ngroups: {g: {subjects: a, colour: red}}\n", "colour, .* missing or unknown"),
    ],
)
def test_a_grammar_of_ones_own_is_checked(tmp_path, monkeypatch, text, message):
    folder = tmp_path / "prompts" / "grammar"
    folder.mkdir(parents=True)
    (folder / "shared.yaml").write_text("day: at noon\n")
    (folder / "mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PromptError, match=message):
        grammar.load()
