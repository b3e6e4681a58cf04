"""What every comparison of two feature sets asks for first."""

from __future__ import annotations

import torch
from torch import Tensor

from genir.errors import GenirError


def comparable(a_NF: Tensor, b_MF: Tensor, least: int, metric: str) -> tuple[Tensor, Tensor]:
    """Both sets in float64.

    Raises GenirError, naming `metric`: not (N, F) and (M, F), fewer than `least` rows, NaN or infinity.
    """
    if a_NF.ndim != 2 or b_MF.ndim != 2 or a_NF.shape[1] != b_MF.shape[1]:
        shapes = f"{tuple(a_NF.shape)} and {tuple(b_MF.shape)}"
        raise GenirError(f"{metric}: features are {shapes}, but (N, F) and (M, F) with one F are needed")
    if min(len(a_NF), len(b_MF)) < least:
        raise GenirError(f"{metric}: sets of {len(a_NF)} and {len(b_MF)} images, but at least {least} each are needed")
    if not (torch.isfinite(a_NF).all() and torch.isfinite(b_MF).all()):
        raise GenirError(f"{metric}: features hold NaN or infinity; remove those images first")
    return a_NF.double(), b_MF.double()
