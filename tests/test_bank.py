"""The ready prompt bank: its form, its variety, and that the screen and the rules of prompts/README.md hold."""

import json
import re
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from genir.promptbank.dedupe import dedupe
from genir.promptbank.screen import Screen
from genir.promptbank.words import skeleton, words_of
from genir.promptfile import PromptFiles
from genir.promptrecord import json_line

ROOT = Path(__file__).resolve().parents[1]
BANK = ROOT / "prompts" / "bank.jsonl"

# Refused in every sense: quality belongs to the learned dual prompt, and text encoders hardly understand "no text".
QUALITY = """
         4k 8k 16k hd uhd hdr resolution quality detailed intricate sharp crisp ultra photorealistic realistic
    masterpiece best     professional award-winning stunning beautiful gorgeous breathtaking cinematic
    trending perfect flawless epic dslr bokeh     blurry blurred hazy out-of-focus unfocused noise noisy
    grainy pixelated jpeg compressed artifact aliased lowres deformed cartoon anime painting     sketch cgi
    dirty smooth overexposed underexposed
"""


@pytest.fixture(scope="module")
def prompts():
    files = PromptFiles(["prompts/bank.jsonl"])
    return list(files.read(0, files.count))


@pytest.fixture(scope="module")
def written(prompts):
    return [prompt for prompt in prompts if "hand-written" in prompt.tags]


def test_ten_thousand_whole_records(prompts):
    assert len(prompts) == 10_000
    for prompt in prompts:
        assert all((prompt.id, prompt.text, prompt.negative, prompt.category, prompt.tags, prompt.source))
        assert prompt.licence == "CC0-1.0"
    assert len({prompt.id for prompt in prompts}) == len({prompt.text.lower() for prompt in prompts}) == 10_000


def test_the_file_is_what_genir_itself_would_write(prompts):
    assert BANK.read_text(encoding="ascii") == "".join(map(json_line, prompts))
    assert {tuple(json.loads(json_line(prompt))) for prompt in prompts} == {
        ("id", "prompt", "negative", "category", "tags", "source", "licence")
    }


def test_the_screen_keeps_every_prompt(prompts):
    screen = Screen()
    assert {prompt.text: screen.findings(prompt.text) for prompt in prompts if screen.findings(prompt.text)} == {}


def test_no_word_of_quality_or_degradation(prompts):
    refused = set(QUALITY.split())
    assert [prompt.text for prompt in prompts if refused & set(words_of(prompt.text))] == []


def test_no_near_duplicates(prompts):
    assert [prompt.text for prompt, fate in dedupe(prompts) if fate != "kept"] == []


def test_categories_are_even_and_take_turns(prompts):
    counts = Counter(prompt.category for prompt in prompts)
    assert len(counts) == 26
    assert min(counts.values()) > 350
    # A run's `limit` takes the first N: each stretch must be a mixture.
    assert min(len({p.category for p in prompts[i : i + 52]}) for i in range(0, 9948, 13)) >= 24


def test_half_tag_lists_half_sentences_none_too_long(prompts):
    sentences = [prompt for prompt in prompts if prompt.text.endswith(".")]
    assert 4500 < len(sentences) < 5500
    # Words plus punctuation: a rough count of CLIP tokens, of which 75 are free.
    assert max(len(re.findall(r"\w+|[^\w\s]", prompt.text)) for prompt in prompts) <= 70


def test_skeletons_vary(prompts):
    assert Counter(skeleton(prompt.text) for prompt in prompts).most_common(1)[0][1] <= 30


def test_the_hand_written_ones_are_all_there_and_unlike_each_other(written):
    assert len(written) == 500
    sets = [set(words_of(prompt.text)) for prompt in written]
    assert max(len(x & y) / len(x | y) for x, y in combinations(sets, 2)) <= 0.3
    openings = Counter(" ".join(words_of(prompt.text)[:2]) for prompt in written)
    assert max(openings.values()) <= 3


def test_the_hand_written_ones_are_spread_over_the_bank(prompts):
    places = [index for index, prompt in enumerate(prompts) if "hand-written" in prompt.tags]
    assert max(b - a for a, b in pairwise(places)) <= 25
