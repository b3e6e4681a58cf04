"""PIQE: a no-reference score without any parameters to learn, from distorted 16x16 blocks.

Source: Venkatanath, Praneeth, Chandrasekhar, Channappayya, Medasani, "Blind Image Quality Evaluation Using
Perception Based Features", NCC 2015, sections II and III; constants as published.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genir.metrics.mscn import Contrast, mscn

BLOCK = 16
SEGMENT = 6
ACTIVE_VARIANCE = 0.1
"""Blocks with more MSCN variance than this are spatially active; only they are judged."""
IMPAIRED_DEVIATION = 0.1
"""An edge segment flatter than this makes its block noticeably distorted."""
SMALLEST_SIDE = 32
_CONSTANT = 1.0


def piqe(images: Tensor | Contrast) -> Tensor:
    """uint8 RGB 0..255 (N, 3, H, W) -> PIQE scores (N,), float32, 0..100, lower is better; 100 where no block is
    active.

    Sides that are no multiples of 16 are padded by reflection. Raises GenirError for
    another dtype or shape and for sides below 32 pixels.
    """
    contrast = Contrast.of(images)
    gray_NHW = contrast.gray("piqe", SMALLEST_SIDE)
    height, width = gray_NHW.shape[1:]
    down, right = -height % BLOCK, -width % BLOCK
    if down or right:
        coefficients_NHW, _ = mscn(F.pad(gray_NHW[:, None], (0, right, 0, down), mode="reflect")[:, 0])
    else:
        coefficients_NHW, _ = contrast.mscn(height, width)
    both_2NHW = torch.stack([coefficients_NHW, coefficients_NHW * coefficients_NHW])
    columns_2NRCB = both_2NHW.unflatten(2, (-1, BLOCK)).sum(dim=3).unflatten(-1, (-1, BLOCK))
    variance_NRC = _variance(columns_2NRCB)
    active_NRC = variance_NRC > ACTIVE_VARIANCE
    # Equations 9-11: blockiness and blur count by how little varies, noise by how much.
    impaired_NRC = _has_flat_edge(coefficients_NHW).double()
    noisy_NRC = _is_noisy(columns_2NRCB, variance_NRC.sqrt()).double()
    distortion_NRC = impaired_NRC * (1 - variance_NRC) + noisy_NRC * variance_NRC
    total_N = (distortion_NRC * active_NRC).sum(dim=(1, 2))
    scores_N = (total_N + _CONSTANT) / (active_NRC.sum(dim=(1, 2)) + _CONSTANT) * 100
    return scores_N.clamp(0, 100).float()


def _variance(columns_2NRCB: Tensor) -> Tensor:
    """Sums and sums of squares of some columns of a block -> the variance of their pixels."""
    sums_NRC, squares_NRC = columns_2NRCB.sum(dim=-1)
    count = BLOCK * columns_2NRCB.shape[-1]
    return ((squares_NRC - sums_NRC * sums_NRC / count) / (count - 1)).clamp(min=0)


def _has_flat_edge(coefficients_NHW: Tensor) -> Tensor:
    """Noticeable distortion criterion: is any 6-pixel segment of any of the four edges nearly constant?"""
    last = BLOCK - 1
    across = [coefficients_NHW[:, row::BLOCK].unflatten(2, (-1, BLOCK)) for row in (0, last)]
    down = [coefficients_NHW[:, :, column::BLOCK].unflatten(1, (-1, BLOCK)).transpose(2, 3) for column in (0, last)]
    edges_4NRCB = torch.stack([*across, *down])
    starts = BLOCK - SEGMENT + 1
    segments = torch.stack([edges_4NRCB[..., first : first + starts] for first in range(SEGMENT)])
    sums, squares = segments.sum(dim=0), segments.square().sum(dim=0)
    variance = (squares - sums * sums / SEGMENT) / (SEGMENT - 1)
    return (variance < IMPAIRED_DEVIATION**2).any(dim=-1).any(dim=0)


def _is_noisy(columns_2NRCB: Tensor, deviation_NRC: Tensor) -> Tensor:
    """Noise criterion: the block's deviation against its centre-surround contrast."""
    middle = BLOCK // 2
    centre = _variance(columns_2NRCB[..., middle - 1 : middle + 1]).sqrt()
    surround = _variance(torch.cat([columns_2NRCB[..., : middle - 1], columns_2NRCB[..., middle + 1 :]], dim=-1)).sqrt()
    ratio_NRC = (centre / surround).nan_to_num(nan=0.0, posinf=0.0)
    larger = deviation_NRC.maximum(ratio_NRC).clamp(min=1e-12)
    beta_NRC = (deviation_NRC - ratio_NRC).abs() / larger
    return deviation_NRC > 2 * beta_NRC
