"""CenterFace as a plain torch module: the network and its weights, nothing about scales or thresholds.

Source: Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", arXiv:1911.03599.
A MobileNetV2 trunk with batch norms folded into its convolutions, a top-down pyramid to stride 4, and 1x1
heads. The landmark head is left out. The weights are the authors' (MIT, see weights/NOTICE), rounded to half
precision.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn

STRIDE = 4
"""Pixels per heatmap cell."""
MULTIPLE = 32
"""Height and width of the input must be multiples of this."""

_WEIGHTS = Path(__file__).parent / "weights" / "centerface.safetensors"

# (expansion, channels, blocks, stride of the first block), as in MobileNetV2, table 2.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_PYRAMID_WIDTH = 24
_LATERAL_CHANNELS = (96, 32, 24)  # trunk stages at stride 16, 8 and 4


class InvertedResidual(nn.Module):
    """MobileNetV2 block: 1x1 expansion, 3x3 depthwise, 1x1 linear projection, a skip where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = nn.Conv2d(inputs, hidden, 1) if expansion != 1 else None
        self.depthwise = nn.Conv2d(hidden, hidden, 3, stride, padding=1, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.has_skip = stride == 1 and inputs == outputs

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        hidden = x_NCHW if self.expand is None else F.relu(self.expand(x_NCHW))
        out = self.project(F.relu(self.depthwise(hidden)))
        return x_NCHW + out if self.has_skip else out


class CenterFace(nn.Module):
    """Face detector that predicts a heatmap of face centres and, in each cell, a box."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, padding=1)
        blocks: list[InvertedResidual] = []
        self._tap_of_block: dict[int, int] = {}
        inputs = 32
        for expansion, channels, repeats, stride in _STAGES:
            for i in range(repeats):
                blocks.append(InvertedResidual(inputs, channels, stride if i == 0 else 1, expansion))
                inputs = channels
            if channels in _LATERAL_CHANNELS:
                self._tap_of_block[len(blocks) - 1] = channels
        self.blocks = nn.ModuleList(blocks)
        width = _PYRAMID_WIDTH
        self.top = nn.Conv2d(inputs, width, 1)
        self.upsample = nn.ModuleList(nn.ConvTranspose2d(width, width, 2, 2, bias=False) for _ in _LATERAL_CHANNELS)
        self.norm = nn.ModuleList(nn.BatchNorm2d(width, eps=1e-3) for _ in _LATERAL_CHANNELS)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in _LATERAL_CHANNELS)
        self.fuse = nn.Conv2d(width, width, 3, padding=1)
        self.heatmap = nn.Conv2d(width, 1, 1)
        self.log_size = nn.Conv2d(width, 2, 1)
        self.offset = nn.Conv2d(width, 2, 1)

    def forward(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """RGB 0..255 as floats, H and W multiples of 32 -> three maps of (N, ., H / 4, W / 4).

        Heatmap (1 channel): score 0..1 of a face centre. Log size (2): natural log of box height and width
        in cells. Offset (2): row and column of the centre inside its cell.
        """
        x = F.relu(self.stem(images_NCHW))
        taps: dict[int, Tensor] = {}
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self._tap_of_block:
                taps[self._tap_of_block[i]] = x
        y = F.relu(self.top(x))
        for up, norm, lateral, channels in zip(self.upsample, self.norm, self.lateral, _LATERAL_CHANNELS, strict=True):
            y = F.relu(norm(up(y))) + F.relu(lateral(taps[channels]))
        y = F.relu(self.fuse(y))
        return torch.sigmoid(self.heatmap(y)), self.log_size(y), self.offset(y)


def load_centerface(device: torch.device | str = "cpu") -> CenterFace:
    """The shipped weights in a float32 module, in evaluation mode, on `device`."""
    model = CenterFace()
    with safe_open(_WEIGHTS, framework="pt") as file:
        state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (not a dict)
    # BatchNorm's update counter is not stored: it has no part in inference.
    counters = {name: t for name, t in model.state_dict().items() if name.endswith("num_batches_tracked")}
    model.load_state_dict(state | counters)
    # channels last: a quarter faster on a CPU
    model = model.eval().requires_grad_(False).to(device)
    return model.to(memory_format=torch.channels_last)


def weights_sha256() -> str:
    """SHA-256 (hex) of the shipped weight file."""
    return hashlib.sha256(_WEIGHTS.read_bytes()).hexdigest()
