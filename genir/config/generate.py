"""The configuration of `genir generate`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from genir.config.base import Strict, read
from genir.config.shared import FilePath, Model, ModelOrId
from genir.errors import ConfigError
from genir.records import Check
from genir.resources import locate

Size = tuple[Annotated[int, Field(ge=64, le=8192)], Annotated[int, Field(ge=64, le=8192)]]
"""Rows, columns."""


def _check_order(low_name: str, low: float | None, high_name: str, high: float | None) -> None:
    if low is not None and high is not None and low > high:
        raise ValueError(f"{low_name} {low} is above {high_name} {high}: nothing lies between")


# Height / width from 0.25 to 4 at about one megapixel: the buckets of Joint-1.6M (Jodi, arXiv 2505.19084).
_NAMED_SIZES = {
    "joint-1.6m": (
        *((512, 2048), (576, 1728), (640, 1600), (704, 1408), (768, 1152), (864, 1152), (896, 1088), (1024, 1024)),
        *((1088, 896), (1152, 864), (1152, 768), (1408, 704), (1600, 640), (1728, 576), (2048, 512)),
    )
}


def _as_sizes(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, str) and value in _NAMED_SIZES:
        return _NAMED_SIZES[value]
    if not isinstance(value, list | tuple):
        raise ValueError(f"expected [rows, columns] in pixels, a list of such pairs, or {' or '.join(_NAMED_SIZES)}")
    return [value] if value and not any(isinstance(part, list | tuple) for part in value) else value


Sizes = Annotated[Annotated[tuple[Size, ...], Field(min_length=1)] | None, BeforeValidator(_as_sizes)]
"""One size or several; None: what the model knows."""


class GuidanceConfig(Strict):
    """Classifier-free guidance; start, end and delay are fractions of the steps."""

    scale: float = Field(default=5.0, ge=0.0, le=100.0, description="CFG scale; 1 runs no negative pass")
    start: float = Field(
        default=0.0, ge=0.0, le=1.0, description="guidance begins here; before it the negative pass is skipped"
    )
    end: float = Field(
        default=1.0, ge=0.0, le=1.0, description="guidance ends here; after it the negative pass is skipped"
    )
    delay: float = Field(default=0.0, ge=0.0, le=1.0, description="until here the negative is the plain empty prompt")
    rescale: float = Field(
        default=0.0, ge=0.0, le=1.0, description="share by which the contrast is brought back to the unguided one"
    )

    @model_validator(mode="after")
    def _ordered(self) -> GuidanceConfig:
        if self.start > self.end:
            raise ValueError(f"start {self.start} is after end {self.end}")
        return self


class MicroConfig(Strict):
    """SDXL size and crop conditioning as (rows, columns); null: the size of the image, and on the negative side what
    the positive one is told.
    """

    original: Size | None = None
    crop: tuple[int, int] = (0, 0)
    target: Size | None = None
    negative_original: Size | None = None
    negative_crop: tuple[int, int] | None = None
    negative_target: Size | None = None


class SignalGate(Strict):
    """Checks of the plain signal, at the size of the image; a null threshold measures and rejects nothing."""

    min_entropy: float | None = Field(default=None, ge=0, le=8, description="bits of the gray histogram")
    min_laplacian: float | None = Field(default=None, ge=0, description="variance of the Laplacian of gray: blur below")
    max_laplacian: float | None = Field(
        default=None, ge=0, description="variance of the Laplacian of gray: noise above"
    )
    max_flat: float | None = Field(default=None, ge=0, le=1, description="share of flat patches")
    max_blockiness: float | None = Field(default=None, ge=0, description="8 x 8 block edges, as a codec leaves them")
    min_std: float | None = Field(
        default=None, ge=0, description="standard deviation of gray: black or one flat colour below"
    )
    max_clipped: float | None = Field(default=None, ge=0, le=1, description="share of pure black or white pixels")

    @model_validator(mode="after")
    def _ordered(self) -> SignalGate:
        _check_order("min_laplacian", self.min_laplacian, "max_laplacian", self.max_laplacian)
        return self

    def bounds(self) -> dict[str, tuple[float | None, float | None]]:
        """Check -> (smallest, largest) allowed score, in the order in which they are asked."""
        return {
            "std": (self.min_std, None),
            "entropy": (self.min_entropy, None),
            "laplacian": (self.min_laplacian, self.max_laplacian),
            "flat": (None, self.max_flat),
            "blockiness": (None, self.max_blockiness),
            "clipped": (None, self.max_clipped),
        }


class FaceGate(Strict):
    """CenterFace, recall first."""

    threshold: float = Field(default=0.3, gt=0, lt=1, description="reject at this best score or above")
    scales: tuple[Annotated[float, Field(gt=0, le=4)], ...] = Field(
        default=(1.0,), min_length=1, description="[1, 2] also looks at the image enlarged twice (strict)"
    )
    long_side: int | None = Field(
        default=None, ge=64, description="look at images reduced to this long side; null: native"
    )


class Bound(Strict):
    """Keep scores inside; null does not bound."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Bound:
        _check_order("min", self.min, "max", self.max)
        return self


class Gates(Strict):
    """Every gate scores every image; null leaves a gate out."""

    score_only: bool = Field(
        default=False, description="score everything, reject nothing; also written `gates: score_only`"
    )
    face: FaceGate | None = FaceGate()
    signal: SignalGate | None = SignalGate(min_std=4.0)
    quality: dict[Literal["piqe", "niqe_32", "niqe_96"], Bound] = Field(
        default={"piqe": Bound()}, description="metric -> bounds; {} leaves the gate out"
    )
    hash: bool = Field(default=False, description="perceptual hash, for `genir select duplicates=near`")

    def checks(self) -> list[Check]:
        """All thresholds that are set, in the order in which they are asked: the first that fails is the reason.

        The face gate's is the first, so that the reason of an image with a face always says so.
        """
        face = [] if self.face is None else [Check("face", "face_score", high=self.face.threshold, reaching=True)]
        signal = {} if self.signal is None else self.signal.bounds()
        quality = {name: (bound.min, bound.max) for name, bound in self.quality.items()}
        bounded = [
            Check(f"{gate}.{name}", f"{gate}_{name}", low, high)
            for gate, bounds in (("signal", signal), ("quality", quality))
            for name, (low, high) in bounds.items()
            if low is not None or high is not None
        ]
        return face + bounded


class KeepRejects(Strict):
    """Whose pixels are stored in rejects/ although a gate said no."""

    quality: Literal["all", "none"] = Field(default="none", description="rejected by the signal or quality gate")
    face: Literal["never"] = Field(default="never", description="images with a face are never stored")


class ImageConfig(Strict):
    """How kept images are stored; both formats are lossless."""

    format: Literal["png", "webp"] = "png"
    level: int = Field(
        default=1, ge=0, le=9, description="PNG: zlib level 0-9; WebP: method 0-6. 1 is three times faster than 6"
    )

    @model_validator(mode="after")
    def _webp_methods(self) -> ImageConfig:
        if self.format == "webp" and self.level > 6:
            raise ValueError(f"level {self.level} is for PNG; WebP has 0 to 6")
        return self


class Target(Strict):
    """When to stop."""

    kept: int | None = Field(default=None, ge=1, description="stop when the first shards hold this many kept images")


class Guard(Strict):
    """Stop a run that keeps almost nothing."""

    min_keep: float = Field(
        default=0.02, ge=0, le=1, description="smallest share of kept images; 0 switches the guard off"
    )
    after: int = Field(default=200, ge=1, description="judge after this many images of a worker")


def as_gates(value: Any) -> Any:
    """`score_only`, a YAML file with a mapping `gates` (as `genir calibrate` writes it), or a mapping.

    In a mapping, what stands beside `file` replaces what the file says.
    """
    if isinstance(value, str):
        value = {"file": value}
    if not isinstance(value, dict) or not isinstance(value.get("file"), str):
        return value
    name, beside = value["file"], {key: below for key, below in value.items() if key != "file"}
    if name == "score_only":
        return {"score_only": True, **beside}
    try:
        values = read(locate(name))
    except ConfigError as error:
        raise ValueError(f"expected a mapping of gates, score_only, or a file of them: {error}") from None
    if not isinstance(values.get("gates"), dict):
        raise ValueError("the file has no mapping `gates`")
    return _replaced(values["gates"], beside)


def _replaced(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    both = {key for key in old.keys() & new.keys() if isinstance(old[key], dict) and isinstance(new[key], dict)}
    return old | new | {key: _replaced(old[key], new[key]) for key in both}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


PromptPaths = Annotated[Annotated[tuple[FilePath, ...], Field(min_length=1)], BeforeValidator(_as_list)]
"""One prompt file or a list of them."""


class Generate(Strict):
    """All keys of `genir generate`."""

    run: FilePath = Field(
        default="outputs/embedded",
        min_length=1,
        description="run directory: a folder, s3://bucket/folder, gs://bucket/folder",
    )
    seed: int = Field(default=0, ge=0, description="the run's seed")
    model: ModelOrId = Field(default=Model(), description="text-to-image model")
    dual: FilePath | None = Field(
        default=None, description="dual-prompt file, `embedded` or `embedded-output`; null: plain prompts"
    )
    negative: str = Field(default="", description="negative prompt where no dual prompt is used")
    prompts: PromptPaths = Field(
        default=("prompts/bank.jsonl",), description="prompt files: .jsonl .txt .csv .parquet; or `empty`"
    )
    weights: dict[str, Annotated[float, Field(ge=0, le=1000)]] = Field(
        default={}, description="category or tag -> images of its prompts, relative to 1; 0 leaves them out"
    )
    replicas: int = Field(default=1, ge=1, description="images of each prompt")
    size: Sizes = Field(
        default=None, description="[rows, columns], a list drawn from per image, or joint-1.6m; null: the model's own"
    )
    crop: Size | None = Field(default=None, description="[rows, columns] kept of the middle of every image; null: all")
    steps: int = Field(default=30, ge=1, le=1000, description="denoising steps")
    guidance: GuidanceConfig = GuidanceConfig()
    micro: MicroConfig = MicroConfig()
    batch: int = Field(default=4, ge=1, description="images denoised together")
    threads: int = Field(default=1, ge=1, description="CPU threads a worker; use more workers, not more threads")
    shard_size: int = Field(default=128, ge=1, le=100_000, description="tasks a shard")
    limit: int | None = Field(default=None, ge=1, description="only the first tasks, rounded up to a batch; may grow")
    target: Target = Target()
    gates: Annotated[Gates, BeforeValidator(as_gates)] = Field(
        default=Gates(), description="or a file of them, or score_only: reject nothing"
    )
    keep_rejects: KeepRejects = KeepRejects()
    image: ImageConfig = ImageConfig()
    guard: Guard = Guard()
    offload_text_encoders: bool = Field(
        default=False, description="text encoders wait in main memory while the images of a shard are denoised"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda (of the local rank), cuda:1, mps, ...")

    def meaning(self) -> dict[str, Any]:
        """What makes two runs the same run; all else may change between launches of one run."""
        growth = {"run", "limit", "target", "keep_rejects", "guard", "offload_text_encoders", "device"}
        return self.model_dump(mode="json", exclude=growth)
