"""Numbers about a bank, checked by hand."""

import pytest

from genir.promptbank.plot import page
from genir.promptbank.stats import stats
from genir.promptbank.words import skeleton, words_of
from genir.promptfile import PromptFiles


def files(tmp_path, *texts):
    path = tmp_path / "p.txt"
    path.write_text("\n".join(texts) + "\n")
    return PromptFiles([str(path)])


def test_words_and_skeletons():
    assert words_of("A half-open Iris, 3 bees; bird's nest.") == [
        "a",
        "half-open",
        "iris",
        "3",
        "bees",
        "bird's",
        "nest",
    ]
    assert skeleton("A red fox in the snow, with wet fur.") == "a _ _ in the _ , with _ _ ."
    assert skeleton("rust, brick wall") == "_ , _ _"


def test_counts(tmp_path):
    found = stats(files(tmp_path, "a red fox", "a blue whale", "old iron bridge, fog"))
    assert (found.prompts, found.words) == (3, 9)
    assert found.lengths == {3: 2, 4: 1}
    assert (found.length(0), found.length(0.5), found.length(1)) == (3, 3, 4)
    assert found.skeletons == {"a _ _": 2, "_ _ _ , _": 1}
    assert found.largest_skeleton_share == pytest.approx(2 / 3)
    # the foxes and the whale share one word of five; the bridge shares none
    assert sorted(found.nearest) == pytest.approx([0, 0.2, 0.2])


def test_the_nearest_neighbour_is_found_among_all_and_is_not_the_prompt_itself(tmp_path):
    texts = [f"word{i} thing{i} stone{i} tree{i}" for i in range(50)]
    texts[40] = "word3 thing3 stone3 moss"
    found = stats(files(tmp_path, *texts), neighbours=50)
    assert sorted(found.nearest)[-3:] == pytest.approx([0, 0.6, 0.6])


def test_the_texts_have_a_digest(tmp_path):
    one, other = stats(files(tmp_path, "a b", "c d")).sha256, stats(files(tmp_path, "c d", "a b")).sha256
    assert one != other
    assert stats(files(tmp_path, "a b", "c d")).sha256 == one


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_page(tmp_path, kind, start):
    assert page(stats(files(tmp_path, "a red fox", "a blue whale")), kind).startswith(start)
