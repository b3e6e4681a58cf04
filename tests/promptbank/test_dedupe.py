"""Near-duplicates against exact Jaccard indices."""

import random

from genir.promptbank.dedupe import dedupe
from genir.promptbank.words import words_of
from genir.records import Prompt

WORDS = [f"word{i}" for i in range(3000)]


def jaccard(one, other):
    one, other = set(words_of(one)), set(words_of(other))
    return len(one & other) / len(one | other)


def fates(texts, threshold=0.7):
    return [fate for _, fate in dedupe(map(Prompt, texts), threshold)]


def test_the_first_stays_and_order_case_and_repetition_do_not_count():
    texts = ["a red fox, snow, dusk", "A RED FOX, SNOW, DUSK", "dusk, snow, a red fox", "a blue whale, deep water"]
    assert fates(texts) == ["kept", "exact", "near", "kept"]


def test_pairs_far_from_the_threshold_are_told_apart():
    rng = random.Random(0)
    near = far = 0
    for _ in range(300):
        base = rng.sample(WORDS, 20)
        close = base[:19] + rng.sample(WORDS, 1)  # 19 of 21: 0.90
        apart = base[:12] + rng.sample(WORDS, 8)  # 12 of 28: 0.43
        near += fates([" ".join(base), " ".join(close)])[1] == "near"
        far += fates([" ".join(base), " ".join(apart)])[1] == "near"
    assert near >= 290
    assert far <= 3


def test_what_stays_of_a_bank_has_no_close_pair_and_what_goes_had_one():
    rng = random.Random(1)
    texts = []
    for _ in range(150):
        base = rng.sample(WORDS, 18)
        texts += [" ".join(base), " ".join([*base[:17], rng.choice(WORDS)]), " ".join(rng.sample(WORDS, 18))]
    found = list(zip(texts, fates(texts), strict=True))
    kept = [text for text, fate in found if fate == "kept"]
    close = sum(jaccard(one, other) > 0.85 for i, one in enumerate(kept) for other in kept[:i])
    assert close <= 6  # of 150: the estimate and the bands miss a few
    for text, fate in found:
        assert fate == "kept" or max(jaccard(text, other) for other in kept) > 0.5


def test_it_streams_and_equal_input_gives_equal_output():
    rng = random.Random(2)
    texts = [" ".join(rng.sample(WORDS[:60], 12)) for _ in range(9000)]  # more than two batches
    first = fates(texts, 0.5)
    assert first == fates(texts, 0.5)
    assert {"kept", "near"} <= set(first)

    def endless():
        while True:
            yield Prompt(" ".join(rng.sample(WORDS, 12)))

    stream = dedupe(endless())
    assert [next(stream)[1] for _ in range(10)] == ["kept"] * 10
