"""What a metric is: a number an image, and all that a reader of the number must know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from genir.metrics.mscn import Contrast
from genir.metrics.psnr import luma, without_border


class Batch:
    """Images of one size, and their references; what several metrics look at is made once."""

    def __init__(self, images_NCHW: Tensor, references_NCHW: Tensor | None = None, border: int = 0) -> None:
        """Take uint8 RGB (N, 3, H, W), references of the same shape, and the border that `rgb` and `y` are without."""
        self.images_NCHW, self._references_NCHW, self._border = images_NCHW, references_NCHW, border

    @property
    def references_NCHW(self) -> Tensor:
        """uint8 RGB."""
        assert self._references_NCHW is not None, "metrics with references are asked where there are some"
        return self._references_NCHW

    @cached_property
    def rgb(self) -> tuple[Tensor, Tensor]:
        """Images and references as float32, 0..255, without border; raises ImageError where nothing is left."""
        both = (self.images_NCHW, self.references_NCHW)
        one, other = (without_border(pixels_NCHW, self._border).float() for pixels_NCHW in both)
        return one, other

    @cached_property
    def y(self) -> tuple[Tensor, Tensor]:
        """Their Y of YCbCr, (N, 1, H, W)."""
        one, other = (luma(pixels_NCHW) for pixels_NCHW in self.rgb)
        return one, other

    @cached_property
    def contrast(self) -> Contrast:
        """What NIQE and PIQE look at, of the images with their border."""
        return Contrast(self.images_NCHW)

    def part(self, rows: slice) -> Batch:
        """Some of the images; all of them are the batch itself, with what was made of it."""
        if rows.indices(len(self.images_NCHW)) == (0, len(self.images_NCHW), 1):
            return self
        references = None if self._references_NCHW is None else self._references_NCHW[rows]
        return Batch(self.images_NCHW[rows], references, self._border)


@dataclass(frozen=True)
class Metric:
    """One number an image."""

    name: str
    score: Callable[[Batch], Tensor]
    """-> (N,)"""
    lower: bool
    """Lower is better."""
    space: str
    """Colour space that it looks at."""
    source: str
    """Whose code it is, with its version."""
    licence: str
    full: bool = False
    """Full-reference: compares an image with its own reference."""
    cropped: bool = False
    """Does the crop border apply?"""
    weights: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the numbers it has learned."""

    def facts(self, border: int) -> dict[str, object]:
        """For the output."""
        return {
            "better": "lower" if self.lower else "higher",
            "reference": "each image's own" if self.full else "none",
            "space": self.space,
            "crop_border": border if self.cropped else 0,
            "source": self.source,
            "licence": self.licence,
            "weights_sha256": self.weights,
        }


@dataclass(frozen=True)
class Extractor:
    """Features of an image, for distances between sets."""

    name: str
    extract: Callable[[Tensor], Tensor]
    """uint8 RGB (N, 3, H, W) -> (N, F) float32."""
    title: str
    """Printed beside every number that is made with them."""
    source: str
    licence: str
    weights: dict[str, str]

    def facts(self) -> dict[str, object]:
        """For the output."""
        return {
            "features": self.title,
            "source": self.source,
            "licence": self.licence,
            "weights_sha256": self.weights,
        }
