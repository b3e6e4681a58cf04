"""Plain measurements: peak signal to noise, variance of the Laplacian (fine detail), blockiness of JPEG."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def psnr_db(a_NCHW: Tensor, b_NCHW: Tensor) -> Tensor:
    """PSNR (N,) in dB of images in -1..1, clamped first."""
    error = (a_NCHW.clamp(-1, 1) - b_NCHW.clamp(-1, 1)).square().mean((1, 2, 3)) / 4
    return -10 * torch.log10(error.clamp_min(1e-10))


def laplacian_variance(images_NCHW: Tensor) -> Tensor:
    """Variance (N,) of the 4-neighbour Laplacian of the luma, in grey levels 0..255, images in -1..1."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    luma = (images_NCHW.clamp(-1, 1) * weights).sum(1, keepdim=True) * 127.5
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    return F.conv2d(luma, kernel).var((1, 2, 3))


def blockiness(images_NCHW: Tensor) -> Tensor:
    """Mean step (N,) across the borders of the 8 x 8 grid over the mean step inside; 1 without blocks."""
    step = (images_NCHW[..., 1:] - images_NCHW[..., :-1]).abs().mean((1, 2))
    border = torch.arange(step.shape[-1]) % 8 == 7
    return (step[:, border].mean(1) + 1e-4) / (step[:, ~border].mean(1) + 1e-4)


def to_signed(pixels_NHWC: Tensor) -> Tensor:
    """Uint8 (N, H, W, 3) to float (N, 3, H, W) in -1..1."""
    return pixels_NHWC.permute(0, 3, 1, 2).float() / 127.5 - 1
