"""Informative Drawings: line art by a small generator, from a weight file of its authors.

Source: Chan, Durand and Isola, "Learning to Generate Line Drawings that Convey Geometry and Semantics", CVPR 2022
(arXiv 2203.12691). The module names are those of the published checkpoints (MIT), for example `anime_style`,
`contour_style` and `opensketch_style`, `netG_A_latest.pth`: three residual blocks, one channel out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genir.annotators.label import Predict, View
from genir.annotators.weights import load_state

_WIDTH, _BLOCKS = 64, 3


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width), nn.ReLU(inplace=True)),
            *(nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)),
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW + self.conv_block(x_NCHW)


class Generator(nn.Module):
    """Photograph -> drawing; the size must be a multiple of 4."""

    def __init__(self) -> None:
        super().__init__()
        widths = (_WIDTH, 2 * _WIDTH, 4 * _WIDTH)
        self.model0 = nn.Sequential(
            *(nn.ReflectionPad2d(3), nn.Conv2d(3, _WIDTH, 7), nn.InstanceNorm2d(_WIDTH), nn.ReLU(inplace=True))
        )
        down, up = list[nn.Module](), list[nn.Module]()
        for low, high in pairwise(widths):
            down += [nn.Conv2d(low, high, 3, 2, 1), nn.InstanceNorm2d(high), nn.ReLU(inplace=True)]
            back = nn.ConvTranspose2d(high, low, 3, 2, 1, output_padding=1)
            up = [back, nn.InstanceNorm2d(low), nn.ReLU(inplace=True), *up]
        self.model1 = nn.Sequential(*down)
        self.model2 = nn.Sequential(*(_Residual(widths[-1]) for _ in range(_BLOCKS)))
        self.model3 = nn.Sequential(*up)
        self.model4 = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(_WIDTH, 1, 7), nn.Sigmoid())

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """RGB 0..1 (N, 3, H, W) -> (N, 1, H, W), 1 is paper."""
        for part in (self.model0, self.model1, self.model2, self.model3, self.model4):
            x_NCHW = part(x_NCHW)
        return x_NCHW


def informative_drawings(path: Path, device: torch.device) -> Predict:
    """Line art, picture by picture; raises ModelError for another file."""
    model = load_state(Generator(), path, "lineart backend informative_drawings").to(device)

    def predict(views: Sequence[View]) -> list[np.ndarray]:
        drawn = []
        with torch.inference_mode():
            for view in views:
                height, width = view.size_HW
                x_NCHW = torch.from_numpy(view.pixels_CHW.astype(np.float32) / 255)[None].to(device)
                x_NCHW = F.pad(x_NCHW, (0, -width % 4, 0, -height % 4), mode="replicate")
                drawn.append(model(x_NCHW)[0, 0, :height, :width].cpu().numpy())
        return drawn

    return predict
