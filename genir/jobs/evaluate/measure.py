"""Pictures and their references -> numbers: read once, measured by size, what fails says why."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from genir import images
from genir.errors import ImageError
from genir.halves import in_halves
from genir.metrics.metric import Batch
from genir.records import Columns, Verdict
from genir.sources.original import Original
from genir.sources.pictures import Picture, pictures

if TYPE_CHECKING:
    from genir.metrics.metric import Extractor, Metric
    from genir.runs.saver import Files

log = logging.getLogger("genir")

Value = TypeVar("Value")

# At a time, of one size: on a CPU what fits into its caches, where larger passes take twice as long; a fixed rule, so
# that numbers are the same on every launch.
_PIXELS_PER_PASS = {"cpu": 128 * 1024}
_PIXELS_ON_ACCELERATORS = 4 * 1024 * 1024

NO_REFERENCE, OTHER_SIZE = "no reference", "size of the reference"

COLUMNS: Columns = {
    "key": "string",
    "source": "string",
    "category": "string",
    "reference": "string",
    "verdict": "string",
    "reason": "string",
    "error": "string",
    "height": "int",
    "width": "int",
    "pixels_sha256": "string",
    "synthetic": "bool",
}


@dataclass(slots=True)
class Measured:
    """One picture, its reference where there is one, and what was found."""

    picture: Picture
    reference: Picture | None
    scores: dict[str, float | None] = field(default_factory=dict)
    features: dict[str, np.ndarray] = field(default_factory=dict)
    error: str = ""
    verdict: Verdict | None = None


def read(
    batches: Sequence[list[Original]], partner: Callable[[Original], Original | None] | None
) -> Iterator[list[Measured]]:
    """Decode every picture that is taken, and its reference; batch by batch, in order."""
    if partner is None:
        for found in pictures(batches):
            yield [Measured(picture, None) for picture in found]
        return
    doubled = ([*batch, *(partner(one) or _nothing(one) for one in batch)] for batch in batches)
    for found in pictures(doubled):
        half = len(found) // 2
        yield [Measured(*both) for both in zip(found[:half], found[half:], strict=True)]


def _nothing(picture: Original) -> Original:
    return Original(picture.key, picture.name, "", NO_REFERENCE, picture.read)


@dataclass(frozen=True)
class Measure:
    """All that is asked of a picture."""

    metrics: Sequence[Metric]
    extractors: Sequence[Extractor]
    border: int
    device: torch.device

    def __call__(self, batch: list[Measured]) -> None:
        """Give every picture its scores, features and verdict."""
        by_shape: dict[tuple[int, ...], list[Measured]] = {}
        for one in batch:
            one.verdict = _refused(one)
            if one.verdict is None:
                assert one.picture.pixels_CHW is not None
                by_shape.setdefault(one.picture.pixels_CHW.shape, []).append(one)
                one.verdict = Verdict("kept")
        most = _PIXELS_PER_PASS.get(self.device.type, _PIXELS_ON_ACCELERATORS)
        for (_, height, width), alike in by_shape.items():
            per_pass = max(1, most // (height * width))
            for first in range(0, len(alike), per_pass):
                self._measure(alike[first : first + per_pass])

    def _measure(self, alike: list[Measured]) -> None:
        references_NCHW = None
        if alike[0].reference is not None:
            references_NCHW = self._stacked([one.reference for one in alike if one.reference])
        batch = Batch(self._stacked([one.picture for one in alike]), references_NCHW, self.border)
        for metric in self.metrics:
            score = metric.score
            values = self._each(alike, metric.name, batch, lambda part, of=score: of(part).tolist())
            for one, value in zip(alike, values, strict=True):
                finite = value is not None and math.isfinite(value)
                one.scores[metric.name] = value if finite else None
                if value is not None and not finite:
                    one.error = one.error or f"{metric.name}: {value}"
        for extractor in self.extractors:
            extract = extractor.extract
            rows = self._each(
                alike, extractor.name, batch, lambda part, of=extract: list(of(part.images_NCHW).cpu().numpy())
            )
            for one, row in zip(alike, rows, strict=True):
                if row is not None:
                    one.features[extractor.name] = row

    def _stacked(self, found: list[Picture]) -> torch.Tensor:
        return torch.from_numpy(np.stack([one.pixels_CHW for one in found if one.pixels_CHW is not None])).to(
            self.device
        )

    @staticmethod
    def _each(alike: list[Measured], name: str, batch: Batch, of: Callable[[Batch], list[Value]]) -> list[Value | None]:
        """`of(batch)`; where that fails, of its halves, until the picture at fault has None and says why."""

        def failed(row: int, message: str) -> Value | None:
            log.warning("picture %s: %s: %s", alike[row].picture.key, name, message)
            alike[row].error = alike[row].error or f"{name}: {message}"
            return None

        def work(rows: Sequence[int]) -> list[Value | None]:
            return [*of(batch.part(slice(rows[0], rows[-1] + 1)))]

        try:
            return in_halves(range(len(alike)), work, failed)
        except ImageError as error:  # all of them have the size that it cannot take
            for one in alike:
                one.error = one.error or str(error)
            return [None] * len(alike)


def _refused(one: Measured) -> Verdict | None:
    """Why a picture is not measured."""
    picture, reference = one.picture, one.reference
    if picture.original.reason:
        return Verdict("rejected", picture.original.reason)
    if reference is not None and reference.original.reason:
        return Verdict("rejected", reference.original.reason)
    one.error = picture.error or (f"reference: {reference.error}" if reference is not None and reference.error else "")
    if one.error:
        return Verdict("error", f"error:{one.error.removeprefix('reference: ').partition(':')[0]}")
    assert picture.pixels_CHW is not None
    if reference is not None and reference.pixels_CHW is not None:
        (height, width), (own_height, own_width) = picture.pixels_CHW.shape[1:], reference.pixels_CHW.shape[1:]
        if (height, width) != (own_height, own_width):
            one.error = f"{height}x{width} pixels (height x width), its reference has {own_height}x{own_width}"
            return Verdict("rejected", OTHER_SIZE)
    return None


def pack(shard: str, one: Measured) -> Files:
    """The row of a picture, and its features as .npy members."""
    assert one.verdict is not None
    picture = one.picture
    pixels_CHW = picture.pixels_CHW
    height, width = (None, None) if pixels_CHW is None else pixels_CHW.shape[1:]
    row = {
        "key": picture.key,
        "source": picture.original.name,
        "category": picture.original.category,
        "reference": None if one.reference is None or one.reference.original.reason else one.reference.key,
        "verdict": one.verdict.verdict,
        "reason": one.verdict.reason,
        "error": one.error,
        "height": height,
        "width": width,
        "pixels_sha256": None if pixels_CHW is None else images.pixels_sha256(pixels_CHW),
        "synthetic": picture.synthetic,
        **one.scores,
    }
    return row, {f"{picture.key}.{name}.npy": _npy(row_F) for name, row_F in one.features.items()}


def _npy(row_F: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, row_F, allow_pickle=False)
    return out.getvalue()
