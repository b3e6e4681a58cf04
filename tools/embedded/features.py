"""Offline features: a small network that names the subject and the degradation of a picture.

    python -m tools.embedded.features CALIBRATION_POOL OUT [--steps 1500]

It is trained on the calibration split of the renderer, which the text-to-image model never sees. Its last
layer gives the features for distances (never called FID: they are its own), its subject head the subject
accuracy.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tools.embedded.degrade import WORDS, degrade
from tools.embedded.measure import to_signed
from tools.embedded.render.scenes import SUBJECTS

KINDS = ("", *WORDS)
WIDTH = 128
BATCH = 32
PEAK_RATE = 2e-3


class SceneFeatures(nn.Module):
    """Features (N, 128) of images (N, 3, H, W) in -1..1, and two linear heads on them."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 48, 64, 96, WIDTH)
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [nn.Conv2d(a, b, 4, stride=2, padding=1), nn.GroupNorm(8, b), nn.SiLU()]
        self.body = nn.Sequential(*layers, nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.SiLU())
        self.subject = nn.Linear(WIDTH, len(SUBJECTS))
        self.kind = nn.Linear(WIDTH, len(KINDS))

    def forward(self, images_NCHW: Tensor) -> Tensor:
        return self.body(images_NCHW).mean((2, 3))


def _batch(pictures: np.ndarray, subjects: np.ndarray, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures with random flips and shifts, half of them degraded."""
    rng = np.random.default_rng((31, step))
    at = rng.integers(0, len(pictures), BATCH)
    images, kinds = [], []
    for k in at:
        pixels, kind = pictures[k], ""
        if rng.random() < 0.5:
            pixels, kind = degrade(pixels, rng)
        if rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        y, x = rng.integers(0, 17, 2)
        images.append(np.pad(pixels, ((8, 8), (8, 8), (0, 0)), "reflect")[y : y + 128, x : x + 128])
        kinds.append(KINDS.index(kind))
    return to_signed(torch.from_numpy(np.stack(images))), torch.from_numpy(subjects[at]), torch.tensor(kinds)


def main() -> None:
    """Train and save OUT/features.pt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    files = sorted(args.pool.glob("[0-9]*.npy"))
    rows = [row for f in files for row in json.loads(f.with_suffix(".json").read_text())]
    pictures = np.concatenate([np.load(f) for f in files])
    subjects = np.array([list(SUBJECTS).index(row["subject"]) for row in rows])
    model = SceneFeatures()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=args.steps)
    for step in range(args.steps):
        images, subject, kind = _batch(pictures, subjects, step)
        with torch.autocast("cpu", torch.bfloat16):
            features = model(images)
        features = features.float()
        loss = F.cross_entropy(model.subject(features), subject) + F.cross_entropy(model.kind(features), kind)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            right = (model.subject(features).argmax(1) == subject).float().mean()
            print(f"step {step + 1} loss {loss.item():.3f} subjects {right:.2f}", flush=True)
    torch.save(model.state_dict(), args.out / "features.pt")


if __name__ == "__main__":
    main()
