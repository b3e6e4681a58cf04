"""Photographs -> pairs around a fake model: what is made of each, in which order, and what is dropped and why."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from genir.backbone.guidance import Guidance
from genir.detectors.faces import Faces
from genir.errors import ModelError, Stopped
from genir.pairs import Check, Edit, Maker, Picture
from genir.records import Conditioning, Photograph


class FakeBackbone:
    """An autoencoder that halves the colours; edits that darken where a bad word is asked for."""

    def __init__(self) -> None:
        self.edits: list[tuple[list[str], list[int]]] = []
        self.largest = 99
        self.broken = False

    def encode_images(self, images_NCHW: Any, drawn: list[int]) -> Any:
        if self.broken or len(drawn) > self.largest or any(int(image.float().mean()) == 77 for image in images_NCHW):
            raise RuntimeError("out of memory")
        return images_NCHW.float()

    def decode_latents(self, latents_NCHW: Any) -> Any:
        return (latents_NCHW / 2).round().to(torch.uint8) * 2, [False] * len(latents_NCHW)

    def encode_positive(self, texts: list[str]) -> Conditioning:
        self.texts = texts
        return Conditioning(torch.zeros(len(texts), 1, 1), None, tuple(len(text) > 40 for text in texts))

    def encode_empty(self, count: int) -> Conditioning:
        return Conditioning(torch.zeros(count, 1, 1), None, (False,) * count)

    def generate(self, positive: Any, negative: Any, *, start: Any, seeds: list[int], **settings: Any) -> Any:
        if settings["should_stop"]():
            raise Stopped
        assert start.strength == 0.6
        self.edits.append((self.texts, seeds))
        bad = torch.tensor([0.5 if "blurry" in text else 1.0 for text in self.texts])
        pixels_NCHW = (start.latents_NCHW * bad[:, None, None, None]).to(torch.uint8)
        return pixels_NCHW, [seed % 2 == 5 for seed in seeds]


class FakeFaces:
    device = torch.device("cpu")

    def detect(self, images_NCHW: Any) -> list[Faces]:
        nothing = torch.zeros(0)
        return [Faces(0.9 if image.float().mean() > 250 else 0.01, nothing, nothing, 0.0) for image in images_NCHW]


class Judging(Maker):
    def prepare(self, batches: Any) -> Any:
        for prepared in super().prepare(batches):
            self.judge(prepared)
            yield prepared


EDIT = Edit(0.6, 5, Guidance(3.0), 2, "one", ("sharp",), ("blurry",), "{words}, {caption}")
DARKER = Check(40.0, "darkness", lambda images_NCHW: 255 - images_NCHW.double().mean(dim=(1, 2, 3)), 5.0)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, "genir")


@pytest.fixture
def maker(tmp_path: Any) -> Any:
    def make(**changes: Any) -> Judging:
        options: dict[str, Any] = {
            "folder": tmp_path, "seed": 3, "backbone": FakeBackbone(), "faces": FakeFaces(), "face_threshold": 0.3,
            "caption": lambda photographs: [(f"a {name}", "") for name, _ in photographs],
            "degraded": 1, "edit": EDIT, "check": DARKER, "should_stop": lambda: False,
        } | changes  # fmt: skip
        return Judging(**options)

    return make


def photograph(folder: Any, name: str, pixels_HWC: Any = None, number: int = 0) -> Photograph:
    pixels = data.chelsea() if pixels_HWC is None else np.asarray(pixels_HWC, np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return Photograph(f"{number:09d}", name, 64, 96)


def kinds(pictures: list[Picture]) -> list[str]:
    return [
        f"{picture.role[:3]} {picture.origin}{' ' + picture.dropped if picture.dropped else ''}" for picture in pictures
    ]


def test_what_is_made_of_a_photograph(maker: Any, tmp_path: Any) -> None:
    made = maker()
    ((one,),) = made.prepare([[photograph(tmp_path, "cat.png")]])
    assert one.verdict.verdict == "kept"
    assert kinds(one.pictures) == [
        "pos photograph", "neg photograph", "pos roundtrip", "neg roundtrip",
        "pos sdedit", "neg sdedit", "neg sdedit",
    ]  # fmt: skip
    assert {picture.pixels_CHW.shape for picture in one.pictures} == {(3, 64, 96)}
    clean, degraded, clean_trip, degraded_trip, *edits = one.pictures
    assert (one.source_HW, one.caption) == ((300, 451), "a cat.png")
    assert degraded.kind == degraded_trip.kind != ""
    for trip, before in ((clean_trip, clean), (degraded_trip, degraded)):
        expected, _ = made.backbone.decode_latents(torch.tensor(before.pixels_CHW).float())
        assert np.array_equal(trip.pixels_CHW, expected)
    assert [edit.kind for edit in edits] == ["sharp", "blurry", "blurry"]
    assert [texts for texts, _ in made.backbone.edits] == [
        ["sharp, a cat.png"], ["blurry, a cat.png"], ["blurry, a cat.png"],
    ]  # fmt: skip
    assert edits[0].seed == edits[1].seed != edits[2].seed, "the positive shares its noise with the first negative"


def test_nothing_depends_on_the_batch(maker: Any, tmp_path: Any) -> None:
    pictures = [data.chelsea(), data.coffee(), data.rocket()]
    photographs = [photograph(tmp_path, f"{n}.png", pixels, n) for n, pixels in enumerate(pictures)]
    together = [one for batch in maker().prepare([photographs]) for one in batch]
    alone = [one for batch in maker().prepare([[own] for own in photographs]) for one in batch]
    for first, second in zip(together, alone, strict=True):
        assert kinds(first.pictures) == kinds(second.pictures)
        for one, other in zip(first.pictures, second.pictures, strict=True):
            assert (one.seed, one.kind, one.scores) == (other.seed, other.kind, other.scores)
            assert np.array_equal(one.pixels_CHW, other.pixels_CHW)


def test_each_reason_is_a_row_and_neighbours_go_on(maker: Any, tmp_path: Any) -> None:
    (tmp_path / "broken.png").write_bytes(b"nothing")
    photographs = [
        Photograph("000000000", "broken.png", 64, 96),
        photograph(tmp_path, "small.png", data.chelsea()[:63], 1),
        photograph(tmp_path, "face.png", np.full((64, 96, 3), 255), 2),
        photograph(tmp_path, "nameless.png", None, 3),
        photograph(tmp_path, "cat.png", None, 4),
    ]
    caption = lambda shown: [("", "no idea") if name == "nameless.png" else ("a cat", "") for name, _ in shown]  # noqa: E731
    (prepared,) = maker(caption=caption).prepare([photographs])
    assert [one.verdict.reason for one in prepared] == ["undecodable", "small", "face", "caption", ""]
    assert [one.error for one in prepared][1:] == [
        "63 x 451 pixels (H x W), 64 x 96 is needed: it would have to be enlarged", "", "no idea", "",
    ]  # fmt: skip
    assert "not an image" in prepared[0].error
    assert [bool(one.pictures) for one in prepared] == [False] * 4 + [True]
    assert prepared[2].scores["face_score"] == 0.9


def test_a_negative_that_is_not_worse_is_dropped(maker: Any, tmp_path: Any) -> None:
    flat = photograph(tmp_path, "flat.png", np.full((64, 96, 3), 40))  # no blur can be seen there
    check = Check(40.0, "darkness", DARKER.score, 25.0)  # darker by 20 is a tie
    ((one,),) = maker(check=check, degraded=8).prepare([[flat]])
    dropped = Counter((picture.origin, picture.dropped) for picture in one.pictures if picture.role == "negative")
    assert dropped["sdedit", "tie"] == 2
    by_kind = {picture.kind: picture for picture in one.pictures if picture.origin == "photograph" and picture.kind}
    assert by_kind["blur"].dropped == "tie"
    assert "noise" not in by_kind or not by_kind["noise"].dropped
    assert all(not picture.dropped for picture in one.pictures if picture.role == "positive")
    assert one.verdict.verdict == "kept"


def test_either_kind_of_negative_can_be_left_out(maker: Any, tmp_path: Any) -> None:
    own = photograph(tmp_path, "cat.png")
    ((one,),) = maker(degraded=0).prepare([[own]])
    assert kinds(one.pictures)[:2] == ["pos photograph", "pos roundtrip"]
    ((one,),) = maker(edit=None).prepare([[own]])
    assert {picture.origin for picture in one.pictures} == {"photograph", "roundtrip"}


def test_a_batch_without_memory_is_split_and_says_so(maker: Any, tmp_path: Any) -> None:
    backbone = FakeBackbone()
    backbone.largest = 2
    photographs = [photograph(tmp_path, f"{n}.png", None, n) for n in range(4)]
    (prepared,) = maker(backbone=backbone).prepare([photographs])
    assert [one.batch_executed for one in prepared] == [2] * 4
    assert {len(one.pictures) for one in prepared} == {7}


def test_a_photograph_that_the_model_cannot_take_is_one_row(maker: Any, tmp_path: Any) -> None:
    poison = photograph(tmp_path, "poison.png", np.full((64, 96, 3), 77), 1)
    (prepared,) = maker().prepare([[photograph(tmp_path, "cat.png"), poison]])
    assert [one.verdict.verdict for one in prepared] == ["kept", "error"]
    assert (prepared[1].error, prepared[1].verdict.reason) == ("RuntimeError: out of memory", "error:RuntimeError")


def test_a_broken_device_stops_the_run(maker: Any, tmp_path: Any) -> None:
    backbone = FakeBackbone()
    backbone.broken = True
    with pytest.raises(ModelError, match="and a gray picture with RuntimeError: out of memory"):
        list(maker(backbone=backbone).prepare([[photograph(tmp_path, "cat.png")]]))


def test_a_stop_gives_up_the_batch_in_flight(maker: Any, tmp_path: Any) -> None:
    with pytest.raises(Stopped):
        list(maker(should_stop=lambda: True).prepare([[photograph(tmp_path, "cat.png")]]))


@pytest.mark.parametrize(("words", "count"), [("one", 1), ("sampled", 3), ("joined", 5)])
def test_words(words: Any, count: int) -> None:
    degradation = ("blurry", "noisy", "dirty", "cartoon", "painting")
    edit = Edit(0.6, 5, Guidance(3.0), 1, words, ("sharp",), degradation, "{words}")
    drawn = [edit.draw("negative", seed) for seed in range(40)]
    assert {len(set(text.split(", "))) for text in drawn} == {count}
    assert drawn == [edit.draw("negative", seed) for seed in range(40)]
    assert {word for text in drawn for word in text.split(", ")} == set(degradation)
    assert edit.draw("positive", 1) == "sharp"
