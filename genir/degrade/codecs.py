"""Compression: the JPEG approximation that Real-ESRGAN trained with, libjpeg and WebP through Pillow."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))  # all others are 99
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def diffjpeg(image_CHW: Tensor, quality: float) -> Tensor:
    """JPEG as the DiffJPEG of Real-ESRGAN's code does it: another distribution than libjpeg's.

    Quality need not be whole; quantisation steps are neither rounded nor clipped, and the luma table stands
    transposed; chroma is averaged over 2 x 2 pixels and repeated; the image is continued by black to multiples of 16.

    Args:
        image_CHW: float32; clipped to 0..1.
        quality: 1..100.
    """
    height, width = image_CHW.shape[-2:]
    padded = functional.pad(image_CHW.clamp(0, 1) * 255, (0, -width % 16, 0, -height % 16))
    factor = (5000 / quality if quality < 50 else 200 - 2 * quality) / 100
    ycc = torch.einsum("dc,chw->dhw", padded.new_tensor(_TO_YCC), padded)
    luma = _quantised(ycc[:1] - 128, padded.new_tensor(_LUMA).T, factor) + 128
    table = padded.new_full((8, 8), 99)
    table[:4, :4] = padded.new_tensor(_CHROMA)
    chroma = _quantised(functional.avg_pool2d(ycc[1:], 2), table, factor)
    chroma = functional.interpolate(chroma[None], scale_factor=2, mode="nearest")[0]
    rgb = torch.einsum("dc,chw->dhw", padded.new_tensor(_TO_RGB), torch.cat([luma, chroma]))
    return rgb.clamp_(0, 255)[:, :height, :width] / 255


def _quantised(planes_CHW: Tensor, table: Tensor, factor: float) -> Tensor:
    """8 x 8 DCT, rounded to multiples of `factor` times the table, and back."""
    if factor == 0:  # quality 100
        return planes_CHW
    planes, height, width = planes_CHW.shape
    k = torch.arange(8, dtype=torch.float64)
    dct = torch.cos((2 * k + 1) * k[:, None] * math.pi / 16) / 2
    dct[0] /= math.sqrt(2)
    dct = dct.to(planes_CHW)
    rows = dct @ planes_CHW.reshape(planes, height // 8, 8, width)
    coefficients = rows.reshape(planes, height // 8, 8, width // 8, 8) @ dct.T
    steps = (table * factor)[:, None]
    coefficients = (coefficients / steps).round_() * steps
    rows = (coefficients @ dct).reshape(planes, height // 8, 8, width)
    return (dct.T @ rows).reshape(planes, height, width)


def libjpeg(image_CHW: Tensor, quality: int) -> Tensor:
    """JPEG by Pillow's libjpeg, chroma 4:2:0; `quality` 1..100."""
    return _recoded(image_CHW, "JPEG", quality)


def webp(image_CHW: Tensor, quality: int) -> Tensor:
    """Lossy WebP by Pillow; `quality` 1..100."""
    return _recoded(image_CHW, "WEBP", quality)


def _recoded(image_CHW: Tensor, kind: str, quality: int) -> Tensor:
    pixels = (image_CHW.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, quality=quality, subsampling="4:2:0")
    with Image.open(file) as image:
        decoded = torch.from_numpy(np.array(image.convert("RGB")))
    return decoded.to(image_CHW.device).permute(2, 0, 1).to(image_CHW.dtype) / 255
