"""Copies among the kept images: planted pictures are found, also changed ones; faces on the sheet are nobody's."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from skimage import data

from genir.cli import run as genir
from genir.config.base import load
from genir.config.score import Score
from genir.errors import ConfigError
from genir.jobs.score import score
from genir.jobs.select import select
from genir.jobs.verify.copies import copies
from genir.metrics.features.copies import among_others, nearest


def pattern(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((64, 64))


def folder_of(pictures, folder):
    folder.mkdir()
    for name, picture in pictures.items():
        picture.save(folder / name)
    return folder


def scored(folder, run):
    """A run whose kept images are these."""
    gates = "gates={face: null, signal: null, quality: {}, hash: true}"
    score(load(Score, None, [f"source={folder}", f"run={run}", gates, "device=cpu"]))
    list(select(str(run), ["name=all"]))
    return f"{run}#all"


@pytest.fixture
def photographs(tmp_path):
    return folder_of({f"{seed}.png": pattern(seed) for seed in range(53)}, tmp_path / "photos")


def test_copies_are_found_also_changed_ones(photographs, tmp_path):
    kept = {f"{seed}.png": pattern(seed) for seed in range(100, 116)}
    kept["a.png"] = Image.open(photographs / "7.png")
    kept["b.png"] = ImageOps.mirror(Image.open(photographs / "9.png")).resize((96, 96))
    run = scored(folder_of(kept, tmp_path / "kept"), tmp_path / "run")
    lines = list(copies(run, str(photographs), []))
    assert lines[0].startswith("compared   18 kept images with 53 pictures of")
    assert lines[2].startswith("copies     2 kept images are below it (11.11%, of all kept at most ")
    assert lines[3] == "nearest    a.png to 7.png: 0.000"
    assert lines[4].startswith("nearest    b.png to 9.png: 0.")
    sheet = tmp_path / "run" / "audits" / "copies.png"
    assert (sheet.parent.stat().st_mode & 0o777, sheet.stat().st_mode & 0o777) == (0o700, 0o600)


def test_unseen_pictures_set_the_threshold_and_too_few_are_refused(photographs, tmp_path, capsys):
    run = scored(folder_of({"a.png": pattern(100)}, tmp_path / "kept"), tmp_path / "run")
    unseen = folder_of({f"{seed}.png": pattern(seed) for seed in range(200, 220)}, tmp_path / "unseen")
    assert genir(["verify", run, "--copies", str(photographs), f"unseen={unseen}", "share=0.05"]) == 0
    assert "5.0% of 20 real pictures are below it" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="20 pictures, but at least 52 are needed"):
        list(copies(run, str(unseen), []))


def test_a_face_on_the_sheet_is_nobody_s(photographs, tmp_path):
    face = Image.fromarray(data.astronaut()[:200, 120:320])
    face.save(photographs / "face.png")
    run = scored(folder_of({"face.png": face, "a.png": pattern(100)}, tmp_path / "kept"), tmp_path / "run")
    assert "nearest    face.png to face.png: 0.000" in list(copies(run, str(photographs), []))
    sheet = Image.open(tmp_path / "run" / "audits" / "copies.png")
    for left in (6, 6 + 268):  # the kept image, and the picture of DIR
        shown = np.asarray(sheet.crop((left, 6, left + 256, 6 + 256)).convert("L"), np.float64)
        assert shown.std() > 5
        assert np.abs(np.diff(shown, axis=1)).max() < 12, "an edge of the face can be seen"


def test_each_picture_to_the_others_is_as_if_it_were_not_there():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 3, 64, 64), dtype=torch.uint8, generator=generator)
    features = torch.randn(60, 8, generator=generator)
    others = torch.arange(60) != 5
    expected, _ = nearest(images[5:6], features[5:6], images[others], features[others])
    assert torch.equal(among_others(images, features, torch.tensor([5])), expected)
