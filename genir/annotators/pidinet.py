"""PiDiNet: edges by pixel difference convolutions, from a weight file of its authors.

Source: Su et al., "Pixel Difference Networks for Efficient Edge Detection", ICCV 2021 (arXiv 2108.07009): the largest
network (60 channels, `carv4`: central, angular, radial and plain convolutions in turn, with the dilation and attention
modules), as in the authors' `table5_pidinet.pth`. Their licence forbids commercial use. Pixel differences are
convolutions with other kernels (section 3.1), and are turned into them when the file is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genir.annotators.label import Predict, View
from genir.annotators.weights import load_state

_WIDTH, _DILATED = 60, 24
_KINDS = ("central", "angular", "radial", "plain")  # of the first convolution and of the 15 blocks, in turn
_BLOCKS = (3, 4, 4, 4)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_RING = (3, 0, 1, 6, 4, 2, 7, 8, 5)  # every place of a 3 x 3 kernel -> its clockwise neighbour's
_OUTER, _INNER = (0, 2, 4, 10, 14, 20, 22, 24), (6, 7, 8, 11, 13, 16, 17, 18)  # of 5 x 5


def plain_kernel(weight: Tensor, kind: str) -> Tensor:
    """The kernel of the plain convolution that equals a pixel difference convolution (equations 2 to 4)."""
    if kind == "plain":
        return weight
    out, inputs = weight.shape[:2]
    flat = weight.reshape(out, inputs, 9)
    if kind == "central":
        flat = flat.clone()
        flat[..., 4] -= weight.sum((2, 3))
    elif kind == "angular":
        flat = flat - flat[..., list(_RING)]
    else:
        wide = torch.zeros(out, inputs, 25, dtype=weight.dtype)
        wide[..., list(_OUTER)], wide[..., list(_INNER)] = flat[..., 1:], -flat[..., 1:]
        return wide.reshape(out, inputs, 5, 5)
    return flat.reshape(weight.shape)


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, kind: str, halves: bool) -> None:
        super().__init__()
        size = 5 if kind == "radial" else 3
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if halves else None
        self.conv1 = nn.Conv2d(inputs, inputs, size, padding=size // 2, groups=inputs, bias=False)
        self.conv2 = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = x_NCHW if self.shortcut is None else F.max_pool2d(x_NCHW, 2)
        out = self.conv2(F.relu(self.conv1(x_NCHW)))
        return out + (x_NCHW if self.shortcut is None else self.shortcut(x_NCHW))


class _Dilated(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, _DILATED, 1)
        for number, reach in enumerate((5, 7, 9, 11), 1):
            conv = nn.Conv2d(_DILATED, _DILATED, 3, dilation=reach, padding=reach, bias=False)
            self.add_module(f"conv2_{number}", conv)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = self.conv1(F.relu(x_NCHW))
        return torch.stack([self.get_submodule(f"conv2_{number}")(x_NCHW) for number in range(1, 5)]).sum(0)


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(_DILATED, 4, 1)
        self.conv2 = nn.Conv2d(4, 1, 3, padding=1, bias=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW * torch.sigmoid(self.conv2(self.conv1(F.relu(x_NCHW))))


class _Reduce(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(_DILATED, 1, 1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.conv(x_NCHW)


class PiDiNet(nn.Module):
    """The network, with plain kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.init_block = nn.Conv2d(3, _WIDTH, 3, padding=1, bias=False)
        widths, number, inputs = (_WIDTH, 2 * _WIDTH, 4 * _WIDTH, 4 * _WIDTH), 1, _WIDTH
        for stage, (width, count) in enumerate(zip(widths, _BLOCKS, strict=True)):
            for block in range(count):
                made = _Block(inputs, width, _KINDS[number % 4], halves=stage > 0 and block == 0)
                self.add_module(f"block{stage + 1}_{block + 1}", made)
                number, inputs = number + 1, width
        self.dilations = nn.ModuleList(_Dilated(width) for width in widths)
        self.attentions = nn.ModuleList(_Attention() for _ in widths)
        self.conv_reduces = nn.ModuleList(_Reduce() for _ in widths)
        self.classifier = nn.Conv2d(4, 1, 1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Normalised RGB -> edge strength (N, 1, H, W), 0..1."""
        size, edges = x_NCHW.shape[2:], list[Tensor]()
        x_NCHW = self.init_block(x_NCHW)
        for stage, count in enumerate(_BLOCKS):
            for block in range(count):
                x_NCHW = self.get_submodule(f"block{stage + 1}_{block + 1}")(x_NCHW)
            found = self.conv_reduces[stage](self.attentions[stage](self.dilations[stage](x_NCHW)))
            edges.append(F.interpolate(found, size, mode="bilinear"))
        return torch.sigmoid(self.classifier(torch.cat(edges, 1)))


def kinds() -> dict[str, str]:
    """Name of a weight in the authors' file -> its kind of pixel difference."""
    blocks = [(stage, block) for stage, count in enumerate(_BLOCKS, 1) for block in range(1, count + 1)]
    names = ["init_block", *(f"block{stage}_{block}.conv1" for stage, block in blocks)]
    return {f"{name}.weight": _KINDS[number % 4] for number, name in enumerate(names)}


def pidinet(path: Path, device: torch.device) -> Predict:
    """Edges, picture by picture; raises ModelError for another file."""
    differences = kinds()

    def convert(name: str, weight: Tensor) -> Tensor:
        return plain_kernel(weight, differences.get(name, "plain"))

    model = load_state(PiDiNet(), path, "edge backend pidinet", convert).to(device)
    mean, std = (torch.tensor(values).to(device)[:, None, None] for values in (_MEAN, _STD))

    def predict(views: Sequence[View]) -> list[np.ndarray]:
        with torch.inference_mode():
            pixels = (torch.from_numpy(view.pixels_CHW.astype(np.float32) / 255).to(device) for view in views)
            return [model(((pixels_CHW - mean) / std)[None])[0, 0].cpu().numpy() for pixels_CHW in pixels]

    return predict
