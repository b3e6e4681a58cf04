"""Keys about how images are made: a second pass at a larger size, a reduction of what was made, speed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from genir.config.base import Strict

Size = tuple[Annotated[int, Field(ge=64, le=8192)], Annotated[int, Field(ge=64, le=8192)]]
"""Rows, columns."""


class HiresConfig(Strict):
    """A second pass of the same model (SDEdit) over its enlarged picture; one of scale and size."""

    scale: float | None = Field(default=None, gt=1, le=8, description="of rows and columns")
    size: Size | None = Field(default=None, description="[rows, columns] of the second pass, for every image")
    upscaler: Literal["latent", "lanczos", "bicubic"] = Field(
        default="lanczos", description="latent: between latents, softer; else of the decoded pixels"
    )
    strength: float = Field(default=0.35, gt=0, le=1, description="share of the steps that run")
    steps: int | None = Field(default=None, ge=1, le=1000, description="of the whole schedule; null: steps")
    tile: int | None = Field(
        default=None, ge=64, le=8192, description="denoise in overlapping tiles of this side in pixels; null: at once"
    )

    @model_validator(mode="after")
    def _one_size(self) -> HiresConfig:
        if (self.scale is None) == (self.size is None):
            raise ValueError("give one of scale (such as 2) and size ([rows, columns])")
        return self

    def enlarged(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the second pass."""
        if self.size is not None:
            return self.size
        assert self.scale is not None, "checked above"
        return round(size[0] * self.scale), round(size[1] * self.scale)


class PostConfig(Strict):
    """What is done with finished pixels before the crop."""

    downscale: float = Field(gt=1, le=8, description="rows and columns are divided by this (supersampling)")
    kernel: Literal["lanczos", "bicubic", "area"] = Field(default="lanczos", description="area: mean of the pixels")

    def reduced(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns that are left; raises ValueError where they are not whole."""
        rows, columns = (side / self.downscale for side in size)
        if rows != round(rows) or columns != round(columns):
            raise ValueError(f"{size[0]}x{size[1]} / {self.downscale:g} is {rows:g}x{columns:g}: not whole pixels")
        return round(rows), round(columns)


def in_words(hires: HiresConfig | None, post: PostConfig | None, crop: tuple[int, int] | None) -> str:
    """What happens after the first pass."""
    words = []
    if hires is not None:
        to = f"x{hires.scale:g}" if hires.size is None else "to {}x{}".format(*hires.size)
        words.append(f"a second pass {to}")
    if post is not None:
        words.append(f"reduced by {post.downscale:g}")
    if crop is not None:
        words.append(f"cropped to {crop[0]}x{crop[1]}")
    return "".join(f", {text}" for text in words)


class SpeedConfig(Strict):
    """How the model computes; what does not work here is left out, and a line says why."""

    channels_last: bool = Field(default=False, description="memory order in which convolutions are faster on GPUs")
    fuse_projections: bool = Field(default=False, description="one matrix for query, key and value")
    compile: bool = Field(default=False, description="torch.compile: minutes at every start, then faster steps")
    step_cache: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="skip blocks that change less than this (First Block Cache, 0.05); not SDXL",
    )
    decoder_tile: int | None = Field(
        default=None, ge=64, le=8192, description="decode larger images in tiles of this side in pixels: less memory"
    )
    group_offload: bool = Field(
        default=False, description="layers of the denoiser wait in main memory: models larger than the GPU; slower"
    )
