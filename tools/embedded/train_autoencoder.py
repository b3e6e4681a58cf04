"""Fit the patch autoencoder: `python -m tools.embedded.train_autoencoder POOL OUT [--steps 3000]`.

The linear maps come from the principal components of the first shards of the pool and stay fixed; only
the decoder's residual is trained. One thread, seeded; a checkpoint every 500 steps, and the same command
resumes.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tools.embedded.components import fit, install
from tools.embedded.degrade import degrade
from tools.embedded.measure import laplacian_variance, psnr_db, to_signed
from tools.embedded.patch_autoencoder import PatchAutoencoder

CHANNELS = 32
CROP = 64
BATCH = 24
SHARDS = 12
PEAK_RATE = 1.5e-3
JITTER = 0.06
"""Largest noise on the latents: the decoder meets imperfect ones when it decodes samples."""


def load_pictures(pool: Path, shards: range, seed: int) -> np.ndarray:
    """Pictures of some shards, uint8 (N, 128, 128, 3), every fifth of them degraded."""
    pictures = np.concatenate([np.load(pool / f"{k:04d}.npy") for k in shards])
    rng = np.random.default_rng(seed)
    for k in range(0, len(pictures), 5):
        pictures[k] = degrade(pictures[k], rng)[0]
    return pictures


def draw_batch(pictures: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Random crops (BATCH, 3, CROP, CROP) on the patch grid's own alignment and off it."""
    at = rng.integers(0, len(pictures), BATCH)
    corner = rng.integers(0, pictures.shape[1] - CROP + 1, (BATCH, 2))
    crops = [pictures[k, y : y + CROP, x : x + CROP] for k, (y, x) in zip(at, corner, strict=True)]
    batch = to_signed(torch.from_numpy(np.stack(crops)))
    return batch.flip(3) if rng.random() < 0.5 else batch


def _edges(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def detail_energy(x: Tensor) -> Tensor:
    """Local strength of the Laplacian of each colour channel, pooled over 8 x 8 pixels."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3).repeat(3, 1, 1, 1)
    return F.avg_pool2d(F.conv2d(x, kernel, groups=3).square(), 8, 4).add(1e-4).sqrt()


def loss_of(made: Tensor, wanted: Tensor) -> Tensor:
    """L1 of pixels and edges, and of the local strength of fine detail (so that texture is not averaged
    away).
    """
    pixels = (made - wanted).abs().mean()
    edges = sum((a - b).abs().mean() for a, b in zip(_edges(made), _edges(wanted), strict=True))
    return pixels + 0.5 * edges + 0.25 * (detail_energy(made) - detail_energy(wanted)).abs().mean()


def _train(model: PatchAutoencoder, pictures: np.ndarray, check: Tensor, out: Path, steps: int) -> None:
    weights = list(model.residual.parameters())
    optimizer = torch.optim.AdamW(weights, lr=PEAK_RATE, weight_decay=0.0, betas=(0.9, 0.98))
    first, state_file = 0, out / "state.pt"
    if state_file.exists():
        state = torch.load(state_file)
        model.residual.load_state_dict(state["residual"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    start = time.perf_counter()
    for step in range(first, steps):
        rng = np.random.default_rng((5, step))
        rate = PEAK_RATE * min(1.0, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * step / steps) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = draw_batch(pictures, rng)
        with torch.autocast("cpu", torch.bfloat16):
            latents = model.encoder(batch)
            jitter = torch.from_numpy(rng.standard_normal(latents.shape, np.float32))
            latents = latents.float() + jitter * (JITTER * float(rng.random()))
            restored = model.residual(latents)
        made = model.decoder(latents) + restored.float()
        loss = loss_of(made, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        if step < 3 or (step + 1) % 100 == 0:
            print(f"step {step + 1} loss {loss.item():.5f} {time.perf_counter() - start:.0f} s", flush=True)
        if (step + 1) % 500 == 0 or step + 1 == steps:
            _report(model, check)
            parts = {"residual": model.residual.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(parts | {"step": step + 1}, state_file)


@torch.no_grad()
def _report(model: PatchAutoencoder, check: Tensor) -> None:
    made = model(check).sample
    kept = laplacian_variance(made).mean() / laplacian_variance(check).mean()
    print(f"unseen renders: {psnr_db(made, check).mean():.2f} dB, detail kept {kept:.2f}", flush=True)


def main() -> None:
    """Fit the linear part, train the residual, save the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pictures = load_pictures(args.pool, range(SHARDS), seed=1)
    model = PatchAutoencoder(latent_channels=CHANNELS)
    mean, components, deviations, signs = fit(to_signed(torch.from_numpy(pictures[::2].copy())), CHANNELS)
    install(model, mean, components, deviations)
    check = to_signed(torch.from_numpy(load_pictures(args.pool, range(SHARDS, SHARDS + 1), seed=2)[:192]))
    print(f"{len(pictures)} pictures; principal components alone:", flush=True)
    _report(model, check)
    torch.save(signs, args.out / "mirror_signs.pt")
    _train(model, pictures, check, args.out, args.steps)
    model.save_pretrained(args.out / "vae")


if __name__ == "__main__":
    main()
