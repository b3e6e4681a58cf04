"""The ready prompt bank: its form, its variety, and that it names no people, brands, text or quality."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

BANK = Path(__file__).resolve().parents[1] / "prompts" / "bank.jsonl"
LINES = BANK.read_text(encoding="utf-8").splitlines()
RECORDS = [json.loads(line) for line in LINES]
PROMPTS = [record["prompt"] for record in RECORDS]

# Whole words, with an optional plural s. "palm", "crown", "rib" and "belly" are left out on purpose: trees,
# thistles, boats and cauldrons have them. "face" and "figure" are refused in every sense, a cliff's too: they
# are easy to avoid, and a text encoder does not always read the context.
BANNED = {
    "people": """
        person people human man men woman women boy girl child children kid baby babies toddler infant
        teenager adult elder lady ladies gentleman gentlemen guy couple family families friend crowd
        audience pedestrian passerby passenger tourist visitor customer guest neighbour neighbor stranger
        somebody someone anyone mother father parent sister brother grandmother grandfather husband wife
        bride groom he she him her his hers they selfie
    """,
    "body": """
        face hand finger fingertip thumb arm elbow shoulder leg knee ankle foot feet toe head hair beard
        moustache eye eyebrow eyelash lip mouth tooth teeth tongue nose cheek chin neck skin breast chest
        waist hip torso body bodies skull skeleton corpse wrist fist flesh
    """,
    "likeness": """
        portrait portraiture statue statuette sculpture bust figure figurine mannequin mask doll puppet
        scarecrow snowman snowmen gargoyle angel avatar robot cyborg
    """,
    "role": """
        farmer fisherman fishermen chef cook baker butcher barber waiter waitress bartender barista driver
        pilot captain sailor crew soldier guard police policeman officer firefighter doctor nurse teacher
        student pupil worker builder carpenter mason blacksmith goldsmith jeweller jeweler potter weaver
        tailor painter artist musician dancer singer actor actress model athlete player runner swimmer
        surfer diver climber hiker skier cyclist rider shepherd cowboy gardener merchant vendor seller
        shopkeeper monk nun priest bishop pilgrim king queen prince princess emperor empress knight
        samurai geisha warrior hunter astronaut scientist engineer mechanic owner
    """,
    "name or brand": """
        leica canon nikon sony kodak fujifilm polaroid hasselblad ferrari porsche toyota bmw mercedes
        volkswagen jeep vespa harley tesla boeing airbus lego ikea disney pixar marvel pokemon nintendo
        coca pepsi nutella nike adidas rolex apple-logo starbucks mcdonald unsplash artstation ghibli
        monet gogh picasso rembrandt escher rutkowski logo trademark brand
    """,
    "readable text": """
        text letter lettering word writing written inscription handwriting calligraphy caption title
        headline newspaper magazine label slogan number numeral digit graffiti licence-plate subtitle
        watermark signature
    """,
    "quality": """
        4k 8k 16k hd uhd hdr hi-res high-resolution resolution quality detail detailed intricate sharp
        crisp ultra hyperrealistic photorealistic realistic masterpiece best professional award-winning
        stunning beautiful gorgeous breathtaking cinematic trending perfect flawless epic dslr raw bokeh
        unreal octane render rendered
    """,
    "degradation": """
        blur blurry blurred unfocused noise noisy grainy pixelated jpeg compressed artifact artefact
        aliased low-quality low-resolution oversmooth over-smooth smooth smoothed hazy dirty deformed
        deformation distorted cartoon anime painting sketch cgi lowres overexposed underexposed
        out-of-focus
    """,
    "unsafe": """
        nude naked sexy erotic lingerie blood bloody gore gun rifle pistol bomb knife knives sword dagger
        weapon war battle murder dead death kill violent violence torture drug
    """,
}
PATTERNS = {kind: re.compile(rf"\b(?:{'|'.join(words.split())})s?\b") for kind, words in BANNED.items()}


def words_of(prompt: str) -> list[str]:
    return re.findall(r"[a-z0-9]+(?:['-][a-z0-9]+)*", prompt.lower())


def found_in(prompt: str) -> list[str]:
    return [f"{kind}: {hit}" for kind, pattern in PATTERNS.items() for hit in pattern.findall(prompt.lower())]


def test_five_hundred_records_of_two_texts() -> None:
    assert len(LINES) == 500
    assert all(set(record) == {"prompt", "category"} for record in RECORDS)
    assert all(isinstance(value, str) and value for record in RECORDS for value in record.values())


def test_plain_ascii_without_stray_blanks() -> None:
    assert BANK.read_bytes().isascii()
    assert [p for p in PROMPTS if not p.isprintable() or p != " ".join(p.split())] == []


def test_distinct_whatever_the_case() -> None:
    counts = Counter(prompt.casefold().rstrip(".") for prompt in PROMPTS)
    assert [prompt for prompt, count in counts.items() if count > 1] == []


def test_no_near_duplicates() -> None:
    # The closest pair shares 24 % of its words, function words counted.
    sets = [(prompt, set(words_of(prompt))) for prompt in PROMPTS]
    pairs = [(a, b) for (a, x), (b, y) in combinations(sets, 2) if len(x & y) > 0.3 * len(x | y)]
    assert pairs == []


def test_no_phrase_of_five_words_twice() -> None:
    counts: Counter[tuple[str, ...]] = Counter()
    for prompt in PROMPTS:
        words = words_of(prompt)
        counts.update({tuple(words[i : i + 5]) for i in range(len(words) - 4)})
    assert [" ".join(phrase) for phrase, count in counts.items() if count > 1] == []


def test_openings_vary() -> None:
    openings = Counter(" ".join(words_of(prompt)[:2]) for prompt in PROMPTS)
    assert [opening for opening, count in openings.items() if count > 3] == []


def test_lengths_fit_a_text_encoder() -> None:
    assert [p for p in PROMPTS if not 8 <= len(words_of(p)) <= 35] == []
    # Words plus punctuation: a rough count of CLIP tokens, of which 75 are free.
    assert [p for p in PROMPTS if len(re.findall(r"[A-Za-z0-9]+|[^\sA-Za-z0-9]", p)) > 70] == []


def test_half_tag_lists_half_sentences() -> None:
    sentences = [p for p in PROMPTS if p.endswith(".")]
    tag_lists = [p for p in PROMPTS if not p.endswith(".")]
    assert 200 <= len(sentences) <= 300
    assert [p for p in sentences if not p[0].isupper()] == []
    assert [p for p in tag_lists if p.count(", ") < 3] == []


def test_categories_are_many_even_and_interleaved() -> None:
    categories = [record["category"] for record in RECORDS]
    counts = Counter(categories)
    assert 20 <= len(counts) <= 32
    assert min(counts.values()) >= 12
    assert len(set(categories[:50])) >= 20
    # A run's `limit` takes the first N: each stretch of 25 lines must be a mixture.
    assert min(len(set(categories[i : i + 25])) for i in range(len(categories) - 24)) >= 23


def test_names_no_people_brands_text_or_quality() -> None:
    assert {prompt: hits for prompt in PROMPTS if (hits := found_in(prompt))} == {}


@pytest.mark.parametrize(
    ("prompt", "hit"),
    [
        ("Two farmers rest beside a red tractor.", "role: farmers"),
        ("old harbour, nets, Fishermen, dawn", "role: fishermen"),
        ("marble statue, ivy, fountain", "likeness: statue"),
        ("the sunlit face of a cliff", "body: face"),
        ("forest, 4k, moss", "quality: 4k"),
        ("a blurry street in the rain", "degradation: blurry"),
    ],
)
def test_the_screen_finds_what_it_should(prompt: str, hit: str) -> None:
    assert hit in found_in(prompt)


@pytest.mark.parametrize(
    "prompt", ["kingfisher, headland, manta, handles, surfaces", "palms, legume, eyespots, earrings"]
)
def test_the_screen_takes_whole_words_only(prompt: str) -> None:
    assert found_in(prompt) == []
