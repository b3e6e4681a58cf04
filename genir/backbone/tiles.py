"""Large latents in overlapping tiles: memory and the denoiser's attention grow with the tile, not with the picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from genir.backbone.guidance import DenoiserInput, Predict

OVERLAP = 0.25
"""Of a tile, at least: shared with its neighbour."""


def tiled(predict: Predict, tile_HW: tuple[int, int]) -> Predict:
    """A denoiser that answers for latents larger than a tile: the weighted mean of what it says of every tile.

    The answers are averaged (Mixture of Diffusers, Jiménez 2023); where a solver's step is linear in the answer, that
    is MultiDiffusion (Bar-Tal et al. 2023). Every tile is told the same. Latents and noise are those of the whole
    picture.

    Args:
        predict: a denoiser of latents of `tile_HW`.
        tile_HW: in latent positions.
    """

    def whole(latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        answer_NCHW = blended(lambda tile_NCHW: predict(tile_NCHW, t, inputs), latents_NCHW, tile_HW)
        return answer_NCHW.to(latents_NCHW.dtype)

    return whole


def blended(work: Callable[[Tensor], Tensor], large_NCHW: Tensor, tile_HW: tuple[int, int]) -> Tensor:
    """What `work` makes of every tile, float32, faded into each other over their overlap.

    Args:
        work: tile (N, C, h, w) -> (N, any, h * f, w * f) for a whole factor f.
        large_NCHW: all of it.
        tile_HW: rows and columns of a tile; where the picture is smaller, all of them.
    """
    height, width = large_NCHW.shape[-2:]
    rows, columns = min(tile_HW[0], height), min(tile_HW[1], width)
    sums_NCHW, shares_HW, weights_HW = torch.empty(0), torch.empty(0), torch.empty(0)
    for top in starts(height, rows):
        for left in starts(width, columns):
            made_NCHW = work(large_NCHW[..., top : top + rows, left : left + columns]).float()
            factor = made_NCHW.shape[-1] // columns
            if not sums_NCHW.numel():
                sums_NCHW = made_NCHW.new_zeros(*made_NCHW.shape[:2], height * factor, width * factor)
                shares_HW = torch.zeros_like(sums_NCHW[0, 0])
                weights_HW = (_ramp(rows * factor)[:, None] * _ramp(columns * factor)).to(made_NCHW)
            down = slice(top * factor, (top + rows) * factor)
            across = slice(left * factor, (left + columns) * factor)
            sums_NCHW[..., down, across] += made_NCHW * weights_HW
            shares_HW[down, across] += weights_HW
    return sums_NCHW / shares_HW


def starts(length: int, tile: int) -> list[int]:
    """Where the fewest tiles begin that cover `length` and overlap by `OVERLAP` at least, evenly spread."""
    if tile >= length:
        return [0]
    stride = max(1, int(tile * (1 - OVERLAP)))
    gaps = -(-(length - tile) // stride)
    return [gap * (length - tile) // gaps for gap in range(gaps + 1)]


def _ramp(length: int) -> Tensor:
    """Weights above 0, rising over the overlap at both ends."""
    position = torch.arange(length)
    return (torch.minimum(position, length - 1 - position) + 1).clamp(max=max(1, int(length * OVERLAP))).float()
