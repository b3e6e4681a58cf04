"""How pictures are degraded: ordered blocks with probabilities and ranges.

A preset is a YAML file of this shape (genir/degrade/presets/); all numbers are drawn anew for every picture.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, model_validator

from genir.config.base import Strict, digest


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"{bounds[0]} is above {bounds[1]}: nothing lies between")
    return bounds


def _weighted(weights: dict[Any, float]) -> dict[Any, float]:
    if not weights or min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise ValueError("expected weights, none negative and one at least positive")
    return weights


Share = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[
    tuple[Annotated[float, Field(ge=0, le=1e4)], Annotated[float, Field(ge=0, le=1e4)]], AfterValidator(_ordered)
]
"""Lowest and highest value, drawn uniformly."""
PositiveRange = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1e4)], Annotated[float, Field(gt=0, le=1e4)]], AfterValidator(_ordered)
]
Quality = Annotated[
    tuple[Annotated[float, Field(ge=1, le=100)], Annotated[float, Field(ge=1, le=100)]], AfterValidator(_ordered)
]
Sizes = Annotated[
    tuple[Annotated[int, Field(ge=3, le=51)], Annotated[int, Field(ge=3, le=51)]], AfterValidator(_ordered)
]
"""Smallest and largest side of a kernel; the odd numbers between are equally likely."""
GaussianKernel = Literal["iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso"]
Mode = Literal["area", "bilinear", "bicubic", "imresize"]
Scale = Literal[2, 3, 4, 8]
Codec = Literal["diffjpeg", "libjpeg"]


class Block(Strict):
    """One step."""

    p: Share = Field(default=1.0, description="probability that the block is applied")


class Blur(Block):
    """A Gaussian-like kernel."""

    kind: Literal["blur"]
    size: Sizes = Field(default=(7, 21), description="side of the kernel in pixels")
    kernels: Annotated[dict[GaussianKernel, float], AfterValidator(_weighted)] = Field(
        default={"iso": 1.0}, description="weights of the kernels"
    )
    sigma: Range | None = Field(default=None, description="pixels, of either axis")
    variance: Range | None = Field(default=None, description="pixels squared, drawn instead of sigma")
    beta_generalized: PositiveRange = Field(default=(0.5, 4.0), description="shape of the generalized Gaussian")
    beta_plateau: PositiveRange = Field(default=(1.0, 2.0), description="shape of the plateau kernel")

    @model_validator(mode="after")
    def _one_width(self) -> Blur:
        if (self.sigma is None) == (self.variance is None):
            raise ValueError("expected either sigma or variance")
        for low, high in (self.beta_generalized, self.beta_plateau):
            if not low <= 1 <= high:
                raise ValueError("beta ranges contain 1: half of the draws are below, half above")
        return self


class Sinc(Block):
    """An ideal circular low-pass: ringing."""

    kind: Literal["sinc"]
    size: Sizes = Field(default=(7, 21), description="side of the kernel in pixels")
    cutoff: dict[int, Annotated[tuple[float, float], AfterValidator(_ordered)]] = Field(
        min_length=1, description="side from which a range holds -> range of the cutoff in units of pi"
    )

    @model_validator(mode="after")
    def _covered(self) -> Sinc:
        if min(self.cutoff) > self.size[0]:
            raise ValueError(f"cutoff begins at side {min(self.cutoff)}, size at {self.size[0]}")
        if not all(low > 0 and high <= 1 for low, high in self.cutoff.values()):
            raise ValueError("a cutoff lies in 0..1, in units of pi")
        return self


class Motion(Block):
    """A straight camera movement."""

    kind: Literal["motion"]
    length: Range = Field(description="pixels; any direction")


class Defocus(Block):
    """A disk."""

    kind: Literal["defocus"]
    radius: Range = Field(description="pixels")


class Resize(Block):
    """To the present size, or the LQ's, times a factor."""

    kind: Literal["resize"]
    of: Literal["present", "lq"] = Field(default="present", description="what the factor multiplies")
    directions: Annotated[dict[Literal["up", "down", "keep"], float], AfterValidator(_weighted)] = Field(
        default={"keep": 1.0}, description="weights; up draws from 1..highest, down from lowest..1"
    )
    factor: PositiveRange = Field(default=(1.0, 1.0), description="lowest and highest")
    divisor: PositiveRange | None = Field(default=None, description="drawn instead of the factor: its inverse")
    modes: tuple[Mode, ...] = Field(default=("area", "bilinear", "bicubic"), min_length=1, description="equally likely")

    @model_validator(mode="after")
    def _around_one(self) -> Resize:
        if not self.factor[0] <= 1 <= self.factor[1]:
            raise ValueError(f"factor {list(self.factor)} does not contain 1")
        return self


class Decimate(Block):
    """Every n-th pixel after a Gaussian blur, aligned with the centres of the LQ's pixels."""

    kind: Literal["decimate"]
    sigma: Range = Field(description="pixels of the blur")


class Gaussian(Block):
    """Additive Gaussian noise."""

    kind: Literal["gaussian"]
    sigma: Range = Field(description="standard deviation, of 255")
    gray: Share = Field(default=0.0, description="probability of equal noise in all channels")
    correlated: Share = Field(default=0.0, description="probability of a random covariance of the channels")

    @model_validator(mode="after")
    def _shares(self) -> Gaussian:
        if self.gray + self.correlated > 1:
            raise ValueError("gray and correlated add up to more than 1")
        return self


class Poisson(Block):
    """Shot noise."""

    kind: Literal["poisson"]
    scale: Range = Field(description="factor of the noise")
    gray: Share = Field(default=0.0, description="probability of equal noise in all channels")


class Jpeg(Block):
    """JPEG at 4:2:0."""

    kind: Literal["jpeg"]
    quality: Quality = Field(description="1..100; libjpeg takes whole numbers")
    codec: Codec = Field(default="libjpeg", description="diffjpeg: the approximation that Real-ESRGAN trained with")


class Webp(Block):
    """Lossy WebP."""

    kind: Literal["webp"]
    quality: Quality = Field(description="whole numbers of 1..100")


class Option(Strict):
    """One way to go on."""

    weight: float = Field(ge=0, description="how likely, beside the other options")
    blocks: tuple[AnyBlock, ...] = Field(description="in this order")


class Choice(Block):
    """One of several sequences."""

    kind: Literal["choice"]
    options: tuple[Option, ...] = Field(min_length=1, description="one is drawn")

    @model_validator(mode="after")
    def _possible(self) -> Choice:
        if not any(option.weight for option in self.options):
            raise ValueError("one option at least has a positive weight")
        return self


class Shuffle(Block):
    """All of these in a random order."""

    kind: Literal["shuffle"]
    blocks: tuple[AnyBlock, ...] = Field(description="in an order that is drawn")
    keep_order: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), description="positions (from 0) of blocks that stay in order among themselves"
    )

    @model_validator(mode="after")
    def _known(self) -> Shuffle:
        if any(position >= len(self.blocks) for position in self.keep_order):
            raise ValueError(f"keep_order: positions are 0 to {len(self.blocks) - 1}")
        return self


AnyBlock = Annotated[
    Blur | Sinc | Motion | Defocus | Resize | Decimate | Gaussian | Poisson | Jpeg | Webp | Choice | Shuffle,
    Discriminator("kind"),
]
Option.model_rebuild()
Choice.model_rebuild()
Shuffle.model_rebuild()


class Usm(Strict):
    """Unsharp mask with a soft threshold."""

    weight: float = Field(default=0.5, ge=0, description="strength")
    radius: int = Field(default=50, ge=2, le=200, description="side of the Gaussian; an even one is raised by 1")
    threshold: float = Field(default=10.0, ge=0, description="of 255; weaker edges stay as they are")


class Degradation(Strict):
    """HQ -> LQ, whole."""

    scale: Scale = Field(default=4, description="HQ side over LQ side")
    crop: int | None = Field(default=None, ge=32, le=8192, description="side of the random HQ crop; null: all of it")
    patch: int | None = Field(
        default=None, ge=32, le=8192, description="side that is cut out of crop and LQ afterwards"
    )
    usm: Usm | None = Field(default=None, description="the LQ is made of the sharpened HQ; the HQ stays as it is")
    blocks: tuple[AnyBlock, ...] = Field(description="in this order; the LQ's size is restored at the end if need be")

    @model_validator(mode="after")
    def _fits(self) -> Degradation:
        if self.patch and (self.crop is None or self.patch > self.crop):
            raise ValueError(f"patch {self.patch} needs a crop of that side at least")
        return self

    @property
    def sha256(self) -> str:
        """Of all that decides what is made."""
        return digest(self.model_dump(mode="json"))

    def with_codec(self, codec: Codec) -> Degradation:
        """The same with another JPEG codec in every block."""

        def changed(value: Any) -> Any:
            if isinstance(value, dict):
                found = {key: changed(below) for key, below in value.items()}
                return found | {"codec": codec} if found.get("kind") == "jpeg" else found
            return [changed(below) for below in value] if isinstance(value, list) else value

        return Degradation.model_validate(changed(self.model_dump(mode="json")))
