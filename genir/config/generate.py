"""The configuration of `genir generate`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from genir.config.base import Strict
from genir.config.gates import Gates, GatesOrFile
from genir.config.gates import meaning as gates_meaning
from genir.config.making import HiresConfig, PostConfig, Size, SpeedConfig
from genir.config.shared import FilePath, Model, ModelOrId

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


Sizes = Annotated[
    Annotated[tuple[Size, ...], Field(min_length=1)] | None,
    BeforeValidator(_as_sizes, json_schema_input_type=Size | tuple[Size, ...] | Literal["joint-1.6m"] | None),
]
"""One size or several; None: what the model knows."""


class GuidanceConfig(Strict):
    """Classifier-free guidance; start, end and delay are fractions of the steps."""

    scale: float = Field(default=5.0, ge=0.0, le=100.0, description="CFG scale; 1 or less runs no negative pass")
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
    true_cfg: float | None = Field(
        default=None,
        ge=0.0,
        le=100.0,
        description="models that are told `scale` (FLUX.1-dev, LCM): above 1 a negative pass as well",
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

    original: Size | None = Field(default=None, description="size of the photograph that the image pretends to be of")
    crop: tuple[int, int] = Field(default=(0, 0), description="corner at which it was cropped")
    target: Size | None = Field(default=None, description="size to which it was cropped")
    negative_original: Size | None = Field(default=None, description="original of the negative side")
    negative_crop: tuple[int, int] | None = Field(default=None, description="crop of the negative side")
    negative_target: Size | None = Field(default=None, description="target of the negative side")


class KeepRejects(Strict):
    """Whose pixels are stored in rejects/ although a gate said no."""

    quality: Literal["all", "none"] = Field(default="none", description="rejected by the signal or quality gate")
    face: Literal["never"] = Field(default="never", description="images with a face are never stored")


class ImageConfig(Strict):
    """How kept images are stored; both formats are lossless."""

    format: Literal["png", "webp"] = Field(default="png", description="lossless both")
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


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


PromptPaths = Annotated[
    Annotated[tuple[FilePath, ...], Field(min_length=1)],
    BeforeValidator(_as_list, json_schema_input_type=str | tuple[str, ...]),
]
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
    negative: str = Field(default="", description="negative prompt; beside a dual prompt it follows its vectors")
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
    hires: HiresConfig | None = Field(default=None, description="second pass at a larger size; null: none")
    post: PostConfig | None = Field(default=None, description="reduction before the crop; null: none")
    crop: Size | None = Field(default=None, description="[rows, columns] kept of the middle of every image; null: all")
    steps: int = Field(default=30, ge=1, le=1000, description="denoising steps")
    guidance: GuidanceConfig = GuidanceConfig()
    micro: MicroConfig = MicroConfig()
    batch: int = Field(default=4, ge=1, description="images denoised together")
    threads: int = Field(default=1, ge=1, description="CPU threads a worker; use more workers, not more threads")
    shard_size: int = Field(default=128, ge=1, le=100_000, description="tasks a shard")
    limit: int | None = Field(default=None, ge=1, description="only the first tasks, rounded up to a batch; may grow")
    target: Target = Target()
    gates: GatesOrFile = Field(default=Gates(), description="or a file of them, or score_only: reject nothing")
    keep_rejects: KeepRejects = KeepRejects()
    image: ImageConfig = ImageConfig()
    guard: Guard = Guard()
    speed: SpeedConfig = SpeedConfig()
    offload_text_encoders: bool = Field(
        default=False, description="text encoders wait in main memory while the images of a shard are denoised"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda (of the local rank), cuda:1, mps, ...")

    @model_validator(mode="after")
    def _second_pass_fits(self) -> Generate:
        if self.hires is not None:
            steps = self.hires.steps or self.steps
            if int(self.hires.strength * steps) < 1:
                raise ValueError(f"hires.strength {self.hires.strength} of {steps} steps is no step; raise one of them")
            if self.hires.tile is not None and self.speed.step_cache is not None:
                raise ValueError("hires.tile and speed.step_cache: a step cache does not know one tile from another")
        return self

    def meaning(self) -> dict[str, Any]:
        """What makes two runs the same run; all else may change between launches of one run."""
        growth = ("run", "limit", "target", "keep_rejects", "guard", "offload_text_encoders", "device")
        found = self.model_dump(mode="json", exclude={**dict.fromkeys(growth, True), "speed": {"group_offload"}})
        return {**found, "gates": gates_meaning(found["gates"])}
