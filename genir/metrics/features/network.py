"""Scene features: a small network that tells what a picture shows and how it is degraded.

Trained by tools/embedded/features.py to name the subject of procedural scenes and to measure blur,
down-scaling, noise and JPEG in them (and in a few photographs); neither the embedded model nor a learner has
seen its pictures.
"""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from genir.errors import GenirError, ImageError
from genir.metrics.detail import detail

NAME = "scene features 1"
"""Printed beside every number that is made with them; another network gets another name."""
FEATURES = 128
SMALLEST_SIDE = 64
BATCH = 64
_WIDTHS = (6, 32, 48, 64, 96, FEATURES)
_FLOOR = 0.01
_DETAIL_GAIN = 4.0
_WEIGHTS = Path(__file__).parents[1] / "weights" / "scene_features.safetensors"


class SceneFeatures(nn.Module):
    """Five strided convolutions; float RGB -1..1 (N, 3, H, W) -> (N, 128) of mean 0 and variance 1 each.

    The network sees a picture and its finest detail, amplified. The mean activity of every stage enters the
    features, in logarithms: texture, which quality changes first, lives in the early ones, subjects in the
    late ones. Equal lengths bound the kernel distance's kernel, so that no single odd picture dominates it.
    """

    def __init__(self) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(_WIDTHS))
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairs)
        self.norms = nn.ModuleList(nn.GroupNorm(8, b) for _, b in pairs)
        self.mix = nn.Linear(sum(_WIDTHS[1:]), FEATURES)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Features in float32."""
        activity = [maps.mean((2, 3)) for maps in self.stages(images_NCHW)]
        mixed = self.mix(torch.cat(activity, dim=1).float().add(_FLOOR).log())
        return F.layer_norm(mixed, (FEATURES,))

    def stages(self, images_NCHW: Tensor) -> list[Tensor]:
        """What the five stages see: maps of a half to a thirty-second of the size, 0.. ."""
        maps, found = torch.cat([images_NCHW, _DETAIL_GAIN * detail(images_NCHW)], dim=1), []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            found.append(F.relu(convolution(maps), inplace=True))
            maps = norm(found[-1])
        return found


def load() -> SceneFeatures:
    """The shipped network (0.42 M parameters, float32, frozen)."""
    model = SceneFeatures().eval().requires_grad_(False)
    model.load_state_dict({name: value.float() for name, value in load_file(_WEIGHTS).items()})
    return model


def weights_sha256() -> str:
    """SHA-256 (hex) of the file that `load` reads."""
    return hashlib.sha256(_WEIGHTS.read_bytes()).hexdigest()


@torch.no_grad()
def scene_features(images_NCHW: Tensor, model: SceneFeatures) -> Tensor:
    """uint8 RGB 0..255 of any size -> features (N, 128), float32, on the model's device.

    Pictures are not scaled, because scaling would hide their quality: compare sets of one size. The network
    was trained at 128 pixels. Raises GenirError for another dtype or shape, ImageError for sides below 64 pixels.
    """
    shape = tuple(images_NCHW.shape)
    if images_NCHW.dtype != torch.uint8 or len(shape) != 4 or shape[1] != 3:
        raise GenirError(f"{NAME}: images are {images_NCHW.dtype} {shape}, but torch.uint8 (N, 3, H, W) is needed")
    if min(shape[2:]) < SMALLEST_SIDE:
        size = f"{shape[2]}x{shape[3]} pixels (height x width)"
        raise ImageError(f"{NAME}: {size}, but {SMALLEST_SIDE} is the smallest side")
    device = next(model.parameters()).device
    parts = [model(part.to(device).float() / 127.5 - 1) for part in images_NCHW.split(BATCH)]
    return torch.cat(parts) if parts else torch.empty(0, FEATURES, device=device)
