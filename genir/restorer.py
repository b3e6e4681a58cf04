"""A compact restorer: a small residual network, trained for a fixed number of steps on pairs that are drawn for it.

It is an instrument, not a product: equal networks trained equally on different pictures tell which pictures teach more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genir import seeds
from genir.errors import Stopped
from genir.metrics.features import network

if TYPE_CHECKING:
    from genir.dataset import DegradedDataset

_RESIDUE = 0.1  # of a block, as it begins: EDSR trains deep networks so (Lim et al. 2017, section 3.3)


class Restorer(nn.Module):
    """LQ -> HQ, `scale` times larger: EDSR's layout (Lim et al. 2017, arXiv 1707.02921) beside a bicubic path."""

    def __init__(self, scale: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
            )
            for _ in range(blocks)
        )
        self.tail = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        assert self.tail.bias is not None
        nn.init.zeros_(self.tail.bias)

    def forward(self, lq_NCHW: Tensor) -> Tensor:
        """Float RGB 0..1 (N, 3, h, w) -> (N, 3, h * scale, w * scale), not clipped."""
        maps = self.head(lq_NCHW)
        for block in self.blocks:
            maps = maps + _RESIDUE * block(maps)
        enlarged = F.interpolate(lq_NCHW, scale_factor=self.scale, mode="bicubic", align_corners=False)
        return enlarged + F.pixel_shuffle(self.tail(maps), self.scale)


class Loss:
    """L1 of the pixels, plus `weight` times the distance of what the scene network's stages see.

    The second term sees texture, as LPIPS does (Zhang et al. 2018): unit vectors over the channels, squared
    differences, means over pixels and stages. What it looks at is therefore no judge of the result.
    """

    def __init__(self, weight: float, device: torch.device) -> None:
        self._weight, self._network = weight, network.load().to(device)

    def __call__(self, restored_NCHW: Tensor, hq_NCHW: Tensor) -> Tensor:
        """Both 0..1; a scalar."""
        pixels = (restored_NCHW - hq_NCHW).abs().mean()
        if not self._weight:
            return pixels
        ours = self._network.stages(restored_NCHW * 2 - 1)
        with torch.no_grad():
            theirs = self._network.stages(hq_NCHW * 2 - 1)
        gaps = [(_unit(one) - _unit(other)).square().sum(dim=1).mean() for one, other in zip(ours, theirs, strict=True)]
        return pixels + self._weight * torch.stack(gaps).mean()


def _unit(maps_NCHW: Tensor) -> Tensor:
    return maps_NCHW / (maps_NCHW.square().sum(dim=1, keepdim=True) + 1e-6).sqrt()


def draws(pictures: list[int], seed: int) -> Iterator[tuple[int, int]]:
    """(picture, epoch) without end: every picture once an epoch, in an order that the seed and the epoch decide."""
    epoch = 0
    while True:
        order = list(pictures)
        random.Random(seeds.derive(seed, str(epoch), "utility:order")).shuffle(order)
        yield from ((picture, epoch) for picture in order)
        epoch += 1


def train(
    model: Restorer,
    pairs: DegradedDataset,
    pictures: list[int],
    loss: Loss,
    seed: int,
    steps: int,
    batch: int,
    rate: float,
    should_stop: Callable[[], bool],
) -> float:
    """Adam with a cosine to zero; returns the mean loss of the last tenth of the steps.

    Args:
        model: on its device; is trained in place.
        pairs: made anew in every epoch.
        pictures: their indices in `pairs`.
        loss: of restored and HQ.
        seed: of the order.
        steps: of the optimiser.
        batch: pairs a step.
        rate: highest learning rate.
        should_stop: asked before every step.

    Raises:
        Stopped: `should_stop` said yes.
        ImageError: a picture cannot be read, or is smaller than the crop.
    """
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, betas=(0.9, 0.99))
    source, last = draws(pictures, seed), []
    for step in range(steps):
        if should_stop():
            raise Stopped("asked to stop between two steps")
        drawn = [pairs.pair(*next(source)) for _ in range(batch)]
        lq_NCHW, hq_NCHW = (torch.stack([one[side] for one in drawn]).to(device).float() / 255 for side in ("lq", "hq"))
        optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * step / steps)) / 2
        value = loss(model(lq_NCHW), hq_NCHW)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if step >= steps - max(1, steps // 10):
            last.append(float(value.detach()))
    return sum(last) / len(last)


@torch.no_grad()
def restored(model: Restorer, lq_NCHW: Tensor) -> Tensor:
    """uint8 RGB -> uint8 RGB, on the model's device."""
    device = next(model.parameters()).device
    out_NCHW = model(lq_NCHW.to(device).float() / 255)
    return (out_NCHW * 255).round().clamp(0, 255).to(torch.uint8)
