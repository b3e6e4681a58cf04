"""Positive or negative? A small network on latents, trained on pairs of one origin only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (32, 64, 128)
LEARNING_RATE = 1e-3

Draw = Callable[[int], tuple[Tensor, Tensor]]
"""Step -> latents (N, C, H, W) of positives and of their own negatives."""


class Classifier(nn.Module):
    """Latents of C channels, any size -> logit (N,) of being a positive."""

    def __init__(self, channels: int):
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((channels, *WIDTHS), WIDTHS, strict=False):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(WIDTHS[-1], 1)

    def forward(self, latents_NCHW: Tensor) -> Tensor:
        """Logits (N,)."""
        return self.head(self.features(latents_NCHW).mean(dim=(2, 3))).squeeze(1)


def train(classifier: nn.Module, draw: Draw, steps: int) -> None:
    """Fit with binary cross-entropy on pairs, half of them mirrored, then freeze.

    A pair's two latents have one layout and one codec, so quality is what is left to tell them apart.
    """
    optimizer = torch.optim.AdamW(classifier.parameters(), LEARNING_RATE)
    for step in range(steps):
        latents_NCHW = torch.cat(draw(step))
        if step % 2:
            latents_NCHW = latents_NCHW.flip(3)
        logits_N = classifier(latents_NCHW)
        truth_N = (torch.arange(len(logits_N), device=logits_N.device) < len(logits_N) // 2).float()
        optimizer.zero_grad()
        functional.binary_cross_entropy_with_logits(logits_N, truth_N).backward()
        optimizer.step()
    classifier.requires_grad_(False)


@torch.no_grad()
def auc(classifier: Classifier, pairs: list[tuple[Tensor, Tensor]]) -> float:
    """Area under the ROC curve over pairs of batches (Mann-Whitney): 0.5 is chance, 1 perfect."""
    positive_N = torch.cat([classifier(positive_NCHW) for positive_NCHW, _ in pairs])
    negative_N = torch.cat([classifier(negative_NCHW) for _, negative_NCHW in pairs])
    gaps_NN = positive_N[:, None] - negative_N[None, :]
    return float((gaps_NN > 0).float().mean() + 0.5 * (gaps_NN == 0).float().mean())
