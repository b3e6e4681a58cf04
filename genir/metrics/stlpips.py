"""ST-LPIPS: a learned perceptual distance that forgives shifts of a pixel.

Source: Ghildyal, Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022 (arXiv 2207.13686): LPIPS (Zhang et al.
2018) with anti-aliased strides, retrained. Its numbers are not LPIPS numbers. The weights are the authors', from the
package stlpips-pytorch (BSD-2-Clause); only its weight files are read, none of its code is imported.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genir.errors import ExtraError, ImageError, ModelError

SMALLEST_SIDE = 32
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_FILTER = (1.0, 2.0, 1.0)
# Layers of each of the five stages, whose ends are compared: pool is a max pool of that side and stride 1.
_POOL, _DOWN = "pool", "down"
_STAGES: dict[str, tuple[tuple[str, ...], ...]] = {
    "alex": (
        ("slice1.0",),
        (_POOL, _DOWN, "slice2.5"),
        (_POOL, _DOWN, "slice3.9"),
        ("slice4.11",),
        ("slice5.13",),
    ),
    "vgg": (
        ("slice1.0", "slice1.2"),
        (_POOL, _DOWN, "slice2.6", "slice2.8"),
        (_POOL, _DOWN, "slice3.12", "slice3.14", "slice3.16"),
        (_POOL, _DOWN, "slice4.20", "slice4.22", "slice4.24"),
        (_POOL, _DOWN, "slice5.28", "slice5.30", "slice5.32"),
    ),
}
_POOL_SIDE = {"alex": 3, "vgg": 2}


def weights_file(net: str) -> Path:
    """Where the weights of `alex` or `vgg` lie; raises ExtraError, ModelError."""
    found = importlib.util.find_spec("stlpips_pytorch")
    if found is None or found.origin is None:
        raise ExtraError(
            f"st_lpips_{net} needs its weights: pip install 'genir[stlpips]' (or --no-deps stlpips-pytorch==0.0.2)"
        )
    path = Path(found.origin).parent / "weights" / "vST0.0" / f"{net}_shift_tolerant.pth"
    if not path.exists():
        raise ModelError(f"st_lpips_{net}: {path} is missing; install stlpips-pytorch 0.0.2 again")
    return path


class StLpips(nn.Module):
    """The frozen network."""

    def __init__(self, net: str) -> None:
        """Load `alex` or `vgg`; raises ExtraError, ModelError."""
        super().__init__()
        self.net = net
        weights = torch.load(weights_file(net), map_location="cpu", weights_only=True)
        for name, value in weights.items():
            if not name.endswith(".filt") and not name.startswith("scaling_layer"):
                self.register_buffer(name.replace(".", "_"), value)
        self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None])

    def forward(self, images_NCHW: Tensor, references_NCHW: Tensor) -> Tensor:
        """uint8 RGB, or floats 0..255, (N, 3, H, W) of one shape -> distance (N,), 0.. ; lower is nearer.

        Raises ImageError for a side below 32 pixels.
        """
        height, width = images_NCHW.shape[2:]
        if min(height, width) < SMALLEST_SIDE:
            raise ImageError(f"st_lpips: {height}x{width} pixels (height x width), but {SMALLEST_SIDE} is the smallest")
        shift, scale = self.get_buffer("shift"), self.get_buffer("scale")
        both = torch.cat([images_NCHW, references_NCHW]).to(shift).div(127.5).sub(1)
        maps, total = (both - shift) / scale, 0.0
        for number, stage in enumerate(_STAGES[self.net]):
            for layer in stage:
                maps = self._through(layer, maps)
            unit = maps / (maps.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
            ours, theirs = unit.chunk(2)
            weights_1C11 = self.get_buffer(f"lin{number}_model_1_weight")
            total = total + F.conv2d((ours - theirs).square(), weights_1C11).mean(dim=(1, 2, 3))
        assert isinstance(total, Tensor)
        return total

    def _through(self, layer: str, maps: Tensor) -> Tensor:
        if layer == _POOL:
            return F.max_pool2d(maps, _POOL_SIDE[self.net], stride=1)
        if layer == _DOWN:
            return _halved(maps)
        weight, bias = (self.get_buffer(f"net_{layer.replace('.', '_')}_{kind}") for kind in ("weight", "bias"))
        side = weight.shape[-1]
        # AlexNet's first layer is padded by 2, and rectified after it was halved; all others keep their size
        maps = F.conv2d(maps, weight, bias, padding=2 if side == 11 else side // 2)
        return F.relu(_halved(maps) if side == 11 else maps)


def _halved(maps: Tensor) -> Tensor:
    filter_3 = maps.new_tensor(_FILTER)
    filter_33 = filter_3[:, None] * filter_3 / 16
    channels = maps.shape[1]
    padded = F.pad(maps, (2, 2, 2, 2), mode="reflect")
    return F.conv2d(padded, filter_33.expand(channels, 1, 3, 3), stride=2, groups=channels)
