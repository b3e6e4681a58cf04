"""The captioned HQ set that travels with the embedded model: whole, licensed, unseen by the model, without people."""

from __future__ import annotations

import json

import numpy as np
import torch
from PIL import Image

from genir import embedded
from genir.detectors.faces import FaceDetector
from genir.photographs import Photographs
from tools.embedded.render.scenes import SUBJECTS
from tools.embedded.splits import SPLITS

FOLDER = embedded.hq_folder()
ROWS = [json.loads(line) for line in (FOLDER / "metadata.jsonl").read_text().splitlines()]


def test_every_picture_has_a_row_and_a_caption() -> None:
    photographs = Photographs(str(FOLDER), "text")
    assert photographs.names == sorted(row["file_name"] for row in ROWS)
    assert all(photographs.caption(row["file_name"]) == row["text"] != "" for row in ROWS)
    assert {row["role"] for row in ROWS} == {"positive"}


def test_pictures_are_square_lossless_and_small_together() -> None:
    for row in ROWS:
        data = (FOLDER / row["file_name"]).read_bytes()
        assert data[12:16] == b"VP8L", "lossless WebP"
        with Image.open(FOLDER / row["file_name"]) as image:
            assert (image.size, image.mode) == ((256, 256), "RGB")
    assert 2e6 < sum((FOLDER / row["file_name"]).stat().st_size for row in ROWS) < 6e6


def test_only_the_positives_split_is_in_it() -> None:
    first, last = SPLITS["procedural"]["positives"]
    seeds = [int(row["source"].split()[-1]) for row in ROWS if row["origin"] == "render"]
    assert len(seeds) == 2 * len(SUBJECTS)
    assert all(first <= seed <= last for seed in seeds)
    allowed = {f"{row['package']}, {row['file']}": row for row in SPLITS["photographs"] if row["split"] == "positives"}
    photographs = [row for row in ROWS if row["origin"] == "photograph"]
    assert {row["source"] for row in photographs} == set(allowed)
    for row in photographs:
        assert (row["licence"], row["author"]) == (allowed[row["source"]]["licence"], allowed[row["source"]]["author"])


def test_every_author_and_licence_is_credited() -> None:
    credits = (FOLDER / "README.md").read_text()
    for row in ROWS:
        assert row["licence"] in {"CC0-1.0", "CC-BY-4.0"}
        assert row["author"] in credits
        assert row["licence"] in credits


def test_no_face_is_found() -> None:
    images_NCHW = np.stack([np.asarray(Image.open(FOLDER / row["file_name"])).transpose(2, 0, 1) for row in ROWS])
    assert max(faces.score for faces in FaceDetector().detect(torch.from_numpy(images_NCHW))) < 0.3
