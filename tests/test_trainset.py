"""Training sets: every bad row is named with its line, pairs have one origin, pictures fill their size."""

import json

import numpy as np
import pytest
import trainsets
from PIL import Image

from genir import trainset
from genir.errors import TrainSetError
from genir.trainset import read

SQUARE = [(64, 64)]


def test_rows_become_pictures(tmp_path):
    found = read(trainsets.pairs(tmp_path / "set", 3), SQUARE)
    assert [picture.role for picture in found.pictures] == ["positive", "negative"] * 3
    assert found.of("positive", None) == [0, 2, 4]
    assert found.of("positive", ["roundtrip"]) == []
    assert found.pairs() == [(0, 1), (2, 3), (4, 5)]
    assert found.pictures[2].caption == "the green house"
    assert found.pictures[0].pixels().shape == (3, 64, 64)
    assert trainset.in_words(found.pictures) == "3 positive photograph, 3 negative photograph"


def test_a_folder_of_a_user_has_only_names_texts_and_roles(tmp_path):
    rows = [{"file_name": f"a{n}.png", "text": "a cat", "role": "positive"} for n in range(2)]
    found = read(trainsets.write(tmp_path / "set", rows), SQUARE)
    assert len(found.pictures) == 2
    assert found.pairs() == []


def test_every_bad_row_is_named_with_its_line(tmp_path):
    folder = trainsets.write(
        tmp_path / "set",
        [
            trainsets.row(0, "positive"),
            trainsets.row(1, "positive", text=" "),
            trainsets.row(2, "positive", size=(32, 96)),
            trainsets.row(3, "positive"),
            trainsets.row(4, "positive", text=""),
            trainsets.row(5, "negative", text=""),
        ],
    )
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    lines += [
        '{"file_name": "none.png", "text": "a", "role": "positive"}',
        "{",
        "[]",
        json.dumps(trainsets.row(0, "good")),
    ]
    lines += [json.dumps(trainsets.row(0, "positive")), '{"file_name": "text.png", "text": "a", "role": "negative"}']
    lines += [
        '{"file_name": "positive0.png", "text": 3, "role": "negative"}',
        "",
        json.dumps(trainsets.row(1, "?") | {"text": ""}),
    ]
    (folder / "text.png").write_text("not a picture")
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    with pytest.raises(TrainSetError) as caught:
        read(folder, SQUARE)
    message = str(caught.value)
    assert message == (
        f"{folder}/metadata.jsonl: 11 unusable rows: lines 2, 5: empty caption; "
        "line 3: image smaller than 64x64, what is learned at (size=[rows, columns]); "
        "line 7: no such file; line 8: not valid JSON; "
        "line 9: not a JSON object; "
        'line 10: role "good" (allowed: positive, negative); line 11: a second positive of its pair and origin; '
        'line 12: not an image; line 13: text is not a text; line 15: role "?" (allowed: positive, negative)'
    )


def test_many_bad_rows_are_one_line(tmp_path):
    folder = trainsets.write(tmp_path / "set", [trainsets.row(n, "positive", text="") for n in range(40)])
    with pytest.raises(TrainSetError, match=r"40 unusable rows: lines 1, 2, .*, 12 and 28 more: empty caption$"):
        read(folder, SQUARE)


def test_only_equal_origins_are_pairs(tmp_path):
    rows = [
        trainsets.row(0, "positive"),
        trainsets.row(1, "positive", pair="0", origin="sdedit"),
        trainsets.row(2, "negative", pair="0", origin="sdedit"),
        trainsets.row(3, "negative", pair="0", origin="sdedit"),
        trainsets.row(4, "negative", pair="0", origin="roundtrip"),
        trainsets.row(5, "negative", pair="", origin="photograph"),
    ]
    assert read(trainsets.write(tmp_path / "set", rows), SQUARE).pairs() == [(1, 2), (1, 3)]


def test_the_nearest_aspect_that_needs_no_enlarging_is_taken(tmp_path):
    sizes = [(64, 64), (64, 128), (128, 64), (128, 128)]
    stored = [(64, 64), (70, 130), (130, 70), (200, 190), (64, 300), (120, 120)]
    rows = [trainsets.row(n, "positive", size=size) for n, size in enumerate(stored)]
    found = read(trainsets.write(tmp_path / "set", rows), sizes)
    assert [picture.size_HW for picture in found.pictures] == [
        (64, 64), (64, 128), (128, 64), (128, 128), (64, 128), (64, 64),
    ]  # fmt: skip
    for picture in found.pictures:
        assert picture.pixels().shape == (3, *picture.size_HW)


def test_a_picture_is_reduced_until_it_covers_the_size_and_cropped_in_its_middle(tmp_path):
    folder = trainsets.write(tmp_path / "set", [trainsets.row(0, "positive")])
    columns = np.zeros((128, 384, 3), np.uint8)
    columns[:, 192:] = 255
    Image.fromarray(columns).save(folder / "positive0.png")
    (picture,) = read(folder, SQUARE).pictures
    assert (picture.stored_HW, picture.crop) == ((128, 384), (0, 64))
    pixels_CHW = picture.pixels()
    assert pixels_CHW[:, :, :28].max() == 0
    assert pixels_CHW[:, :, 36:].min() == 255


def test_a_picture_that_cannot_be_decoded_names_its_row(tmp_path):
    folder = trainsets.write(tmp_path / "set", [trainsets.row(0, "positive")])
    data = (folder / "positive0.png").read_bytes()
    (folder / "positive0.png").write_bytes(data[: len(data) // 2])
    (picture,) = read(folder, SQUARE).pictures
    with pytest.raises(TrainSetError, match=r"metadata\.jsonl line 1: .*positive0\.png.*; remove the row$"):
        picture.pixels()


def test_metadata_under_train_is_read_relative_to_itself(tmp_path):
    trainsets.pairs(tmp_path / "set" / "train" / "a", 1)
    trainsets.pairs(tmp_path / "set" / "train" / "b", 2)
    with pytest.raises(TrainSetError, match=r"train/b/metadata.jsonl:1: a second positive"):
        read(tmp_path / "set", SQUARE)
    text = (tmp_path / "set" / "train" / "b" / "metadata.jsonl").read_text().replace('"pair": "', '"pair": "b')
    (tmp_path / "set" / "train" / "b" / "metadata.jsonl").write_text(text)
    assert len(read(tmp_path / "set", SQUARE).pairs()) == 3


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_nothing_to_learn_from(tmp_path, content):
    if content is not None:
        (tmp_path / "metadata.jsonl").write_text(content)
    with pytest.raises(TrainSetError, match=r"no training set there|no rows"):
        read(tmp_path, SQUARE)


def test_another_file_is_another_set(tmp_path):
    folder = trainsets.pairs(tmp_path / "set", 1)
    before = read(folder, SQUARE).sha256
    assert read(folder, SQUARE).sha256 == before
    picture = folder / "positive0.png"
    picture.write_bytes(picture.read_bytes() + b"more")
    assert read(folder, SQUARE).sha256 != before
