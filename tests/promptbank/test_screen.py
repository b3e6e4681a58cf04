"""The screen: what it finds on labelled lines that were written before its rules, and the reasons it gives."""

import pytest
from promptbank import labelled

from genir.promptbank.screen import REASONS, Finding, Screen


@pytest.fixture(scope="module")
def screen():
    return Screen()


def test_the_labelled_lines_are_many_and_half_of_them_hard():
    lines = labelled.lines()
    assert len({line.text.lower() for line in lines}) == len(lines) >= 1000
    assert {line.label for line in lines} == {*REASONS, "keep"}
    assert sum(line.difficulty == "hard" for line in lines) >= len(lines) / 2
    assert 0.45 < sum(line.held_out for line in lines) / len(lines) < 0.55


def test_recall_and_precision_on_all_labelled_lines(screen):
    recall, low, precision, _, _ = labelled.judged(screen, labelled.lines())
    assert recall >= 0.99
    assert low >= 0.975
    assert precision >= 0.95


def test_the_half_that_no_rule_was_made_for_is_not_far_behind(screen):
    recall, _, precision, _, _ = labelled.judged(screen, [line for line in labelled.lines() if line.held_out])
    assert recall >= 0.975
    assert precision >= 0.94


@pytest.mark.parametrize(
    ("text", "reason", "what"),
    [
        ("Two farmers rest beside a red tractor.", "people", "farmers"),
        ("old harbour, nets, Fishermen, dawn", "people", "Fishermen"),
        ("wrinkled hands on a rope", "people", "hands"),
        ("a bust of Julius Caesar", "name", "Julius Caesar"),
        ("Giulia Rossi's balcony", "name", "Giulia Rossi"),
        ("a garden for Mrs Tenbruck", "name", "Mrs Tenbruck"),
        ("frosty can of Heineken", "brand", "Heineken"),
        ("a barn, a Jeep, snow", "brand", "Jeep"),
        ("hogwarts in fog", "character", "hogwarts"),
        ("garage at 17 Fir Tree Lane", "contact", "street address: 17 Fir Tree Lane"),
        ("write to a.b@example.org", "contact", "e-mail: a.b@example.org"),
        ("ring 0301 234567, shop door", "contact", "telephone number: ring 0301 234567"),
        ("naked torso, studio", "nsfw", "naked"),
        ("a lake in the style of Nonesuch", "artist", "in the style of Nonesuch"),
        ("by Ada Nonesuch, forest", "artist", "by Ada Nonesuch"),
    ],
)
def test_a_removal_has_its_reason(screen, text, reason, what):
    assert Finding(reason, what) in screen.findings(text)


@pytest.mark.parametrize(
    "text",
    [
        "fisherman's cottage on a cliff",
        "king penguins and a hermit crab",
        "the foot of a glacier, the mouth of a cave",
        "cliff face with gulls",
        "Amazon River from above",
        "the Cook Strait in a gale",
        "Jeeps of moss",  # the capital is the sentence's
        "in the style of an English garden",
        "a house by the sea, by moonlight",
        "24 pillars, 1/250 s, f/8, 16:9",
        "kingfisher, headland, handles, surfaces",
    ],
)
def test_the_same_words_in_another_sense_stay(screen, text):
    assert screen.findings(text) == []


def test_one_finding_a_reason_in_a_fixed_order(screen):
    findings = screen.findings("a naked woman and a man drink Pepsi and Fanta, call 555-123-4567")
    assert [finding.reason for finding in findings] == ["people", "brand", "contact", "nsfw"]


def test_a_recogniser_adds_what_it_finds():
    screen = Screen(lambda text: [Finding("name", "PER Zyx")] if "zyx" in text else [])
    assert screen.findings("zyx on a hill") == [Finding("name", "PER Zyx")]
    assert screen.findings("a hill") == []
