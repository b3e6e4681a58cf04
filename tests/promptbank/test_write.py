"""The writer: what the model answers is read leniently, asked for again where it is missing, and never believed."""

import json

import pytest

from genir.chat.ask import Chat, Failure
from genir.promptbank.screen import Screen
from genir.promptbank.write import SCHEMA, Writer, parse
from genir.records import Prompt

SCREEN = Screen()


class Model:
    """Answers with what `say` makes of the prompts in the question."""

    identity, is_told = "model", True

    def __init__(self, say):
        self.say, self.questions = say, []

    def answer(self, questions):
        self.questions += questions
        return [self._one(question) for question in questions]

    def _one(self, question):
        lines = [json.loads(line) for line in question.text.splitlines() if line.startswith('{"id"')]
        reply = self.say(lines)
        return reply if isinstance(reply, str | Failure) else json.dumps({"prompts": reply})


def sources(*texts):
    return [Prompt(text, "water", id=f"s{i}", negative="people", tags=("wet",)) for i, text in enumerate(texts)]


def written(say, texts, variants=1, batch=10):
    model = Model(say)
    writer = Writer(Chat(model, tries=2, pause=0.0), "m", "Write {variants}.", SCREEN, variants, batch)
    return list(writer.write(sources(*texts))), model.questions


def kept(found):
    return [each.prompt.text for each in found if not each.findings]


def reasons(found):
    return [each.findings[0].reason for each in found if each.findings]


def test_new_prompts_in_order_with_what_their_source_says():
    found, questions = written(
        lambda lines: [
            {"id": line["id"], "texts": [f"{line['prompt']}, reeds", f"{line['prompt']},\n ice"]} for line in lines
        ],
        ["a lake", "a brook", "a pond"],
        variants=2,
        batch=2,
    )
    assert kept(found) == [
        "a lake, reeds",
        "a lake, ice",
        "a brook, reeds",
        "a brook, ice",
        "a pond, reeds",
        "a pond, ice",
    ]
    prompt = found[0].prompt
    assert (prompt.category, prompt.negative, prompt.tags) == ("water", "people", ("wet", "written"))
    assert (prompt.source, prompt.licence) == ("m, after s0", "")
    assert len({each.prompt.id for each in found}) == 6
    assert [question.schema for question in questions] == [SCHEMA, SCHEMA]
    assert questions[0].text.splitlines() == [
        "Write 2.",
        '{"id": 1, "category": "water", "prompt": "a lake"}',
        '{"id": 2, "category": "water", "prompt": "a brook"}',
    ]


def test_what_the_screen_refuses_is_told_with_its_reason():
    found, _ = written(
        lambda lines: [
            {"id": 1, "texts": ["a woman by the lake"]},
            {"id": 2, "texts": ["a brook in the style of Monet"]},
        ],
        ["a lake", "a brook"],
    )
    assert kept(found) == []
    assert reasons(found) == ["people", "artist"]


def test_a_prompt_stands_once_and_not_as_its_source():
    found, _ = written(
        lambda lines: [
            {"id": line["id"], "texts": ["Mossy rock, a lake", "a LAKE", "a lake; mossy rock"]} for line in lines
        ],
        ["a lake", "lake, a"],
        variants=3,
    )
    assert kept(found) == ["Mossy rock, a lake", "a lake; mossy rock", "a LAKE"]
    assert reasons(found) == ["duplicate"] * 3


def test_more_variants_than_asked_for_are_left():
    found, _ = written(lambda lines: [{"id": 1, "texts": ["ice", "reeds", "moss"]}], ["a lake"], variants=2)
    assert kept(found) == ["ice", "reeds"]


def test_who_is_left_out_is_asked_for_alone():
    found, questions = written(
        lambda lines: [{"id": 1, "texts": [f"{lines[0]['prompt']} in fog"]}], ["a lake", "a brook", "a pond"]
    )
    assert kept(found) == ["a lake in fog", "a brook in fog", "a pond in fog"]
    assert len(questions) == 3


def test_one_prompt_that_the_model_chokes_on_costs_no_other():
    def say(lines):
        if any("poison" in line["prompt"] for line in lines):
            return Failure("the server refuses this", again=False)
        return [{"id": line["id"], "texts": [f"{line['prompt']} in fog"]} for line in lines]

    found, _ = written(say, ["a lake", "poison ivy", "a pond"])
    assert kept(found) == ["a lake in fog", "a pond in fog"]
    assert (found[1].source.text, found[1].prompt) == ("poison ivy", None)
    assert found[1].findings[0].what == "the server refuses this"


@pytest.mark.parametrize(
    ("junk", "what"),
    [
        ("I cannot help with that.", "holds no JSON object"),
        ('{"prompts": []}', "holds no new prompt"),
        ('{"prompts": [{"id": 1}]}', "holds no new prompt"),
        ('{"prompts": [{"id": 7, "texts": ["a lake in fog"]}]}', "leaves it out"),
        ('{"prompts": [{"id": 1, "texts": [" "]}]}', "is empty"),
        ('{"prompts": [{"id": 1, "texts": ["a \\u0007 lake"]}]}', "holds U+0007"),
        ('{"prompts": [{"id": 1, "texts": ["half \\ud800"]}]}', "holds U+D800"),
        (json.dumps({"prompts": [{"id": 1, "texts": ["reed " * 300]}]}), "1499 characters, allowed are 1000"),
        (json.dumps({"prompts": [{"id": 1, "texts": ["reed " * 3000]}]}), "14999 characters, allowed are 4000"),
    ],
)
def test_junk_becomes_a_reason(junk, what):
    found, _ = written(lambda lines: junk, ["a lake"])
    assert reasons(found) == ["answer"]
    assert what in found[0].findings[0].what
    assert "\n" not in found[0].findings[0].what


@pytest.mark.parametrize(
    "text",
    [
        '{"prompts": [{"id": 1, "texts": ["a"]}, {"id": "2", "texts": ["b"]}]}',
        'Sure!\n```json\n{"prompts": [{"id": 1, "texts": ["a"]}, 3, null, {"id": 2, "texts": ["b"]}]}\n```',
        '{"prompts": [{"id": 1, "texts": ["a"]}, {"id": 2, "texts": ["b"]}, {"id": 2, "texts": ["c"]}, {"id": null}]}',
        '{"prompts": [{"id": 1, "texts": ["a"]}, {"id": 2, "texts": ["b"]}, {"id": 3, "texts": [4]}, {"id": "²"}]}',
    ],
)
def test_answers_are_read_leniently(text):
    assert parse(text) == {1: ["a"], 2: ["b"]}
