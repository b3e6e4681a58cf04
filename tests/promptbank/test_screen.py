"""The screen: what it finds on labelled lines, and the reasons it gives."""

import pytest
from promptbank import labelled

from genir.promptbank.screen import REASONS, Finding, Screen


@pytest.fixture(scope="module")
def screen():
    return Screen()


def test_the_labelled_lines_are_many_and_half_of_them_hard():
    lines = labelled.lines()
    assert len({line.text.lower() for line in lines}) == len(lines) >= 2000
    assert {line.label for line in lines} == {*REASONS, "keep"}
    assert sum(line.difficulty == "hard" for line in lines) >= len(lines) / 2
    second = [line for line in lines if line.is_second]
    assert len(second) >= 1000
    assert 0.45 < sum(line.held_out for line in second) / len(second) < 0.55


@pytest.mark.parametrize(
    ("chosen", "least_recall", "least_bound", "least_precision"),
    [
        (lambda line: not line.is_second, 0.99, 0.985, 0.98),
        (lambda line: True, 0.985, 0.975, 0.97),
        (lambda line: line.held_out, 0.95, 0.925, 0.93),
    ],
    ids=["first list", "both lists", "held out"],
)
def test_recall_and_precision(screen, chosen, least_recall, least_bound, least_precision):
    recall, low, precision, _, _ = labelled.judged(screen, [line for line in labelled.lines() if chosen(line)])
    assert recall >= least_recall
    assert low >= least_bound
    assert precision >= least_precision


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
        ("monet-like lilies", "artist", "monet-like"),
        ("dunes, Sebastião Salgado", "artist", "Sebastião Salgado"),
        ("a woman's silhouette", "people", "woman's"),
        ("a s\u200bai\u00adlor, rope", "people", "sailor"),
        ("a ﬁsherman and a ｗｏｍａｎ", "people", "ﬁsherman"),
        ("a soldier, beetles", "people", "soldier"),
        ("member no. A9912345", "contact", "personal number: member no. A9912345"),
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
        "Shells of snails",  # the capital is the sentence's
        "patches of snow, white sky",  # no Snow White over a comma
        "a soldier beetle, Steller's jay",
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
