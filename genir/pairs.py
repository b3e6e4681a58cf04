"""Photographs -> training pairs: each photograph with the pictures that are made of it, good and bad.

A positive and its negatives always share an origin, what the pixels went through last, so that nothing but quality
tells them apart: `photograph` (from a camera; its negatives are degraded), `roundtrip` (the same two through the
autoencoder) and `sdedit` (both edited by the model at one strength, with quality words or degradation words; GenIR,
Ai et al. 2024, section 3.2, has the negatives only).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from genir import images, seeds
from genir.backbone.guidance import Guidance, Start
from genir.degrade.simple import degrade
from genir.errors import ImageError, ModelError
from genir.halves import in_halves
from genir.records import Photograph, Score, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from genir.backbone.model import Backbone
    from genir.detectors.faces import FaceDetector

log = logging.getLogger("genir")

Role = Literal["positive", "negative"]
Origin = Literal["photograph", "roundtrip", "sdedit"]
SAMPLED = 3
"""Words in a prompt where they are `sampled`."""


@dataclass(slots=True)
class Picture:
    """One picture of a training set."""

    role: Role
    origin: Origin
    pixels_CHW: np.ndarray
    """uint8 RGB."""
    kind: str = ""
    """The degradation, or the words of the edit."""
    seed: int = 0
    dropped: str = ""
    """Why it is not part of the set: `tie` (not worse than its positive), `nonfinite`; "" = it is."""
    truncated: bool = False
    """The text encoder did not read the whole prompt of the edit."""
    scores: dict[str, Score] = field(default_factory=dict)


@dataclass(slots=True)
class Prepared:
    """What became of one photograph."""

    photograph: Photograph
    caption: str = ""
    source_HW: tuple[int, int] = (0, 0)
    pictures: list[Picture] = field(default_factory=list)
    scores: dict[str, Score] = field(default_factory=dict)
    """Of the face detector."""
    verdict: Verdict | None = None
    error: str = ""
    batch_executed: int | None = None

    def reject(self, reason: str, error: str = "") -> None:
        """Take the photograph out, for a reason; `error` says more."""
        self.verdict, self.error, self.pictures = Verdict("rejected", reason), error, []


@dataclass(frozen=True)
class Edit:
    """SDEdit of every photograph (Meng et al. 2022) with quality words and with degradation words."""

    strength: float
    steps: int
    guidance: Guidance
    per_image: int
    """Negatives a photograph."""
    words: Literal["one", "joined", "sampled"]
    """One word drawn for each picture, all of them, or `SAMPLED` drawn."""
    quality: Sequence[str]
    degradation: Sequence[str]
    template: str
    """Prompt of both sides; {words} and {caption} are filled in."""

    def draw(self, role: Role, seed: int) -> str:
        """The words of one picture: a pure function of its seed."""
        words = self.quality if role == "positive" else self.degradation
        if self.words == "joined":
            return ", ".join(words)
        count = 1 if self.words == "one" else min(SAMPLED, len(words))
        return ", ".join(random.Random(seed).sample(list(words), count))


@dataclass(frozen=True)
class Check:
    """When a negative counts as worse than the positive of its origin.

    A degraded photograph has lost something for certain: it only must differ visibly. What the model paints for
    degradation words may be as good as what it paints for quality words: there a no-reference score decides.
    """

    psnr: float
    """dB; a degraded picture must be below this against its positive."""
    metric: str
    score: Callable[[Tensor], Tensor]
    """uint8 images (N, 3, H, W) -> (N,), lower is better."""
    margin: float
    """An edit's score must be higher by this than its positive's."""

    def is_worse(self, negative: Picture, positive: Picture) -> bool:
        """Fills in the negative's psnr where that decides; the scores must be there."""
        if negative.origin == "sdedit":
            own, base = negative.scores[self.metric], positive.scores[self.metric]
            return isinstance(own, float) and isinstance(base, float) and own - base >= self.margin
        gap_CHW = negative.pixels_CHW.astype(np.float64) - positive.pixels_CHW
        negative.scores["psnr"] = psnr = float(10 * np.log10(255**2 / max(1e-4, np.square(gap_CHW).mean())))
        return psnr < self.psnr


@dataclass(frozen=True)
class Maker:
    """Everything that turns photographs into pairs."""

    folder: Path
    seed: int
    """The run's."""
    backbone: Backbone
    faces: FaceDetector
    face_threshold: float
    caption: Callable[[Sequence[tuple[str, np.ndarray]]], list[tuple[str, str]]]
    """(name, pixels) of photographs -> (caption, why there is none) of each."""
    degraded: int
    """Degraded negatives a photograph."""
    edit: Edit | None
    check: Check
    should_stop: Callable[[], bool]

    def prepare(self, batches: Iterable[list[Photograph]]) -> Iterator[list[Prepared]]:
        """Yield what became of the photographs of each batch, in order; `judge` is to follow.

        Raises Stopped between denoising steps, ModelError where the device or the model is at fault.
        """
        for photographs in batches:
            prepared = [self._open(photograph) for photograph in photographs]
            for select in (self._reject_faces, self._describe):
                left = [one for one in prepared if one.verdict is None]
                if left:
                    select(left)
            left = [one for one in prepared if one.verdict is None]
            if left:
                in_halves(left, lambda part: self._make(part, len(left)), _failed)  # noqa: B023 - used at once
                if any(one.error for one in left):
                    self._check_model(left[0])
            yield prepared

    def judge(self, prepared: list[Prepared]) -> None:
        """Drop the negatives that are not worse than their positives, and give each photograph its verdict."""
        self._drop_ties(prepared)
        for one in prepared:
            one.verdict = one.verdict or Verdict("kept")

    def _open(self, photograph: Photograph) -> Prepared:
        """Read, reduce until it just covers the size, and crop in the middle."""
        one = Prepared(photograph)
        try:
            pixels_CHW = images.read_photograph(self.folder / photograph.name)
        except ImageError as error:
            log.warning("%s", error)
            one.reject("undecodable", str(error))
            return one
        one.source_HW = height, width = pixels_CHW.shape[1:]
        if height < photograph.height or width < photograph.width:
            needed = f"{photograph.height} x {photograph.width} is needed"
            one.reject("small", f"{height} x {width} pixels (H x W), {needed}: it would have to be enlarged")
            return one
        fitted_CHW = images.fit(pixels_CHW, (photograph.height, photograph.width))
        one.pictures = [Picture("positive", "photograph", fitted_CHW)]
        return one

    def _reject_faces(self, prepared: Sequence[Prepared]) -> None:
        found = self.faces.detect(_stacked([one.pictures[0].pixels_CHW for one in prepared]))
        for one, faces in zip(prepared, found, strict=True):
            one.scores = {"face_score": faces.score, "face_count": len(faces.scores_K), "face_area": faces.area}
            if not faces.score < self.face_threshold:  # NaN too: what was not assessed is not kept
                one.reject("face")

    def _describe(self, prepared: Sequence[Prepared]) -> None:
        captions = self.caption([(one.photograph.name, one.pictures[0].pixels_CHW) for one in prepared])
        for one, (caption, error) in zip(prepared, captions, strict=True):
            one.caption = caption
            if not caption:
                one.reject("caption", error)

    def _make(self, prepared: Sequence[Prepared], planned: int) -> list[Prepared]:
        """Add every picture; photographs of one size."""
        for one in prepared:
            one.batch_executed = None if len(prepared) == planned else len(prepared)
            del one.pictures[1:]  # of an attempt that failed
        for number in range(self.degraded):
            for one in prepared:
                seed = self._seed(one, f"degrade:{number}")
                pixels_CHW, kind = degrade(one.pictures[0].pixels_CHW, seed)
                one.pictures.append(Picture("negative", "photograph", pixels_CHW, kind, seed))
        clean_NCHW = torch.empty(0)
        for position in range(1 + self.degraded):
            latents_NCHW = self._round_trip(prepared, position)
            clean_NCHW = clean_NCHW if position else latents_NCHW
        if self.edit is not None:
            self._edit(prepared, clean_NCHW, self.edit, "positive", 0)
            for number in range(self.edit.per_image):
                self._edit(prepared, clean_NCHW, self.edit, "negative", number)
        return list(prepared)

    def _check_model(self, failed: Prepared) -> None:
        """Work on a gray picture of that size: a model that cannot is no photograph's fault."""
        size = (3, failed.photograph.height, failed.photograph.width)
        gray = Picture("positive", "photograph", np.full(size, 128, np.uint8))
        probe = in_halves([Prepared(failed.photograph, pictures=[gray])], lambda part: self._make(part, 1), _failed)[0]
        if probe.error:
            raise ModelError(
                f"{failed.photograph.name} failed, and a gray picture with {probe.error}; the device or the model is "
                "at fault, not the photograph: mend it and run the same command again"
            )

    def _round_trip(self, prepared: Sequence[Prepared], position: int) -> Tensor:
        """Through the autoencoder and back; returns the latents between."""
        before = [one.pictures[position] for one in prepared]
        drawn = [self._seed(one, f"roundtrip:{position}") for one in prepared]
        latents_NCHW = self.backbone.encode_images(_stacked([picture.pixels_CHW for picture in before]), drawn)
        pixels_NCHW, nonfinite = self.backbone.decode_latents(latents_NCHW)
        for one, picture, pixels_CHW, bad, seed in zip(
            prepared, before, pixels_NCHW.numpy(), nonfinite, drawn, strict=True
        ):
            dropped = "nonfinite" if bad else ""
            one.pictures.append(Picture(picture.role, "roundtrip", pixels_CHW, picture.kind, seed, dropped))
        return latents_NCHW

    def _edit(self, prepared: Sequence[Prepared], clean_NCHW: Tensor, edit: Edit, role: Role, number: int) -> None:
        # the first negative shares its noise with the positive: only the words differ
        drawn = [self._seed(one, f"sdedit:{number}") for one in prepared]
        words = [edit.draw(role, seed) for seed in drawn]
        texts = [edit.template.format(words=own, caption=one.caption) for own, one in zip(words, prepared, strict=True)]
        positive = self.backbone.encode_positive(texts)
        size_HW = prepared[0].photograph.height, prepared[0].photograph.width
        empty = self.backbone.encode_empty(len(texts))
        pixels_NCHW, nonfinite = self.backbone.generate(
            positive,
            empty,
            size_HW=size_HW,
            seeds=drawn,
            steps=edit.steps,
            guidance=edit.guidance,
            empty=empty,
            should_stop=self.should_stop,
            start=Start(clean_NCHW, edit.strength),
        )
        for index, one in enumerate(prepared):
            dropped = "nonfinite" if nonfinite[index] else ""
            made = Picture(role, "sdedit", pixels_NCHW[index].numpy(), words[index], drawn[index], dropped)
            made.truncated = positive.truncated[index]
            one.pictures.append(made)

    def _seed(self, one: Prepared, purpose: str) -> int:
        return seeds.derive(self.seed, one.photograph.key, purpose)

    def _drop_ties(self, prepared: Sequence[Prepared]) -> None:
        pictures = [picture for one in prepared for picture in one.pictures]
        if not pictures:
            return
        device = self.faces.device if self.faces.device.type == "cuda" else torch.device("cpu")
        scores = self.check.score(_stacked([picture.pixels_CHW for picture in pictures]).to(device)).tolist()
        for picture, score in zip(pictures, scores, strict=True):
            picture.scores[self.check.metric] = score
        for one in prepared:
            clean = {picture.origin: picture for picture in one.pictures if picture.role == "positive"}
            for picture in one.pictures:
                if picture.role == "negative" and not self.check.is_worse(picture, clean[picture.origin]):
                    picture.dropped = picture.dropped or "tie"


def _failed(one: Prepared, message: str) -> Prepared:
    log.warning("%s failed: %s", one.photograph.name, message)
    one.verdict, one.error, one.pictures = Verdict("error", f"error:{message.partition(':')[0]}"), message, []
    return one


def _stacked(pixels: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pixels))
