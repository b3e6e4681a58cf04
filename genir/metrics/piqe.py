"""PIQE: a no-reference score without any parameters to learn, from distorted 16x16 blocks.

Source: Venkatanath, Praneeth, Chandrasekhar, Channappayya, Medasani, "Blind Image Quality Evaluation Using
Perception Based Features", NCC 2015, sections II and III; constants as published.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genir.metrics.gray import gray
from genir.metrics.mscn import mscn, tiles

BLOCK = 16
SEGMENT = 6
ACTIVE_VARIANCE = 0.1
"""Blocks with more MSCN variance than this are spatially active; only they are judged."""
IMPAIRED_DEVIATION = 0.1
"""An edge segment flatter than this makes its block noticeably distorted."""
SMALLEST_SIDE = 32
_CONSTANT = 1.0


def piqe(images_NCHW: Tensor) -> Tensor:
    """uint8 RGB 0..255 -> PIQE scores (N,), float32, 0..100, lower is better; 100 where no block is active.

    Sides that are no multiples of 16 are padded by reflection. Raises GenirError for
    another dtype or shape and for sides below 32 pixels.
    """
    gray_NHW = gray(images_NCHW, "piqe", SMALLEST_SIDE)
    down, right = (-side % BLOCK for side in gray_NHW.shape[1:])
    gray_NHW = F.pad(gray_NHW[:, None], (0, right, 0, down), mode="reflect")[:, 0]
    blocks_NKHW = tiles(mscn(gray_NHW)[0], BLOCK)
    variance_NK = blocks_NKHW.flatten(2).var(dim=2)
    active_NK = variance_NK > ACTIVE_VARIANCE
    # Equations 9-11: blockiness and blur count by how little varies, noise by how much.
    impaired_NK = _has_flat_edge(blocks_NKHW).double()
    noisy_NK = _is_noisy(blocks_NKHW, variance_NK.sqrt()).double()
    distortion_NK = impaired_NK * (1 - variance_NK) + noisy_NK * variance_NK
    total_N = (distortion_NK * active_NK).sum(dim=1)
    scores_N = (total_N + _CONSTANT) / (active_NK.sum(dim=1) + _CONSTANT) * 100
    return scores_N.clamp(0, 100).float()


def _has_flat_edge(blocks_NKHW: Tensor) -> Tensor:
    """Noticeable distortion criterion: is any 6-pixel segment of any of the four edges nearly constant?"""
    edges = (blocks_NKHW[..., 0, :], blocks_NKHW[..., -1, :], blocks_NKHW[..., 0], blocks_NKHW[..., -1])
    flat = [(edge.unfold(2, SEGMENT, 1).std(dim=3) < IMPAIRED_DEVIATION).any(dim=2) for edge in edges]
    return flat[0] | flat[1] | flat[2] | flat[3]


def _is_noisy(blocks_NKHW: Tensor, deviation_NK: Tensor) -> Tensor:
    """Noise criterion: the block's deviation against its centre-surround contrast."""
    middle = BLOCK // 2
    centre = blocks_NKHW[..., middle - 1 : middle + 1].flatten(2).std(dim=2)
    sides = torch.cat([blocks_NKHW[..., : middle - 1], blocks_NKHW[..., middle + 1 :]], dim=3)
    surround = sides.flatten(2).std(dim=2)
    ratio_NK = (centre / surround).nan_to_num(nan=0.0, posinf=0.0)
    larger = deviation_NK.maximum(ratio_NK).clamp(min=1e-12)
    beta_NK = (deviation_NK - ratio_NK).abs() / larger
    return deviation_NK > 2 * beta_NK
