"""Finish the decoder on latents as the sampler leaves them: `python -m tools.embedded.train_decoder POOL AE RUN`.

A decoder that was trained on encoded pictures shows the patch grid on sampled ones, whose latents are never quite
right. Latents of pictures are noised and denoised again by the last steps of the sampler, with the trained model and
its guidance; the residual then learns to make the picture of them, and the grid of the picture to vanish. The linear
maps stay as they are, so every latent keeps its meaning. Reads AE/vae and RUN/last.pt, writes AE/vae_finished. One
thread, seeded; a checkpoint every 250 steps, and the same command resumes.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler
from torch import Tensor
from transformers import CLIPTokenizer

from tools.embedded.captions import describe
from tools.embedded.latents import facts_of
from tools.embedded.measure import blockiness, laplacian_variance, to_signed
from tools.embedded.model import SAMPLING, SCHEDULE, TextAndUNet
from tools.embedded.patch_autoencoder import PATCH, PatchAutoencoder
from tools.embedded.pool import SIZE
from tools.embedded.train_autoencoder import load_pictures, loss_of

SHARDS = 4
BATCH = 24
WINDOW = 8
"""Side of a crop in latents: 64 pixels."""
LAST_STEPS = 6
"""Latents are denoised over the last 1 .. 6 of the sampler's 20 steps."""
GUIDANCE = 4.0
ENCODED_SHARE = 0.3
"""Crops that are decoded from the encoder's own latents, so that the autoencoder stays one."""
PEAK_RATE = 1e-3
GRID_WEIGHT = 1.0


def spectrum(images_NCHW: Tensor) -> Tensor:
    """Root mean square (2, N, C, 8, 8) of each DCT coefficient over the 8 x 8 blocks on the patch grid and half a
    patch off it; where the two differ for a picture, the grid is seen.
    """
    at = torch.arange(PATCH)
    basis = torch.cos(torch.pi * at[:, None] * (at[None] + 0.5) / PATCH) * math.sqrt(2 / PATCH)
    basis[0] /= math.sqrt(2)
    found = []
    for shift in (0, PATCH // 2):
        blocks = images_NCHW[..., shift:, shift:].unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
        found.append((basis @ blocks @ basis.T).square().mean((2, 3)).add(1e-5).sqrt())
    return torch.stack(found)


@torch.no_grad()
def denoised(
    model: TextAndUNet, latents: Tensor, ids_NL: Tensor, empty_L: Tensor, sizes_N6: Tensor, key: int
) -> Tensor:
    """Latents after noise and the sampler's last steps, as many as the key says."""
    scheduler = DDIMScheduler(**SCHEDULE, **SAMPLING)
    scheduler.set_timesteps(20)
    steps = scheduler.timesteps[-1 - key % LAST_STEPS :]
    noise = torch.from_numpy(np.random.default_rng((6, key)).standard_normal(latents.shape, np.float32))
    latents = scheduler.add_noise(latents, noise, steps[:1])
    ids = torch.cat([empty_L.expand_as(ids_NL), ids_NL])
    for step in steps:
        at = step.expand(len(ids))
        empty, told = model(torch.cat([latents] * 2), at, ids, torch.cat([sizes_N6] * 2)).chunk(2)
        latents = scheduler.step(empty + GUIDANCE * (told - empty), step, latents).prev_sample
    return latents


def make_latents(vae: PatchAutoencoder, pool: Path, autoencoder: Path, run: Path) -> tuple[np.ndarray, Tensor, Tensor]:
    """Pictures (N, 128, 128, 3), their latents and the same after `denoised`."""
    tokenizer = CLIPTokenizer.from_pretrained(autoencoder / "tokenizer")
    model = TextAndUNet(tokenizer).eval()
    model.load_average(run / "last.pt")
    pictures = load_pictures(pool, range(SHARDS), seed=1)
    rows = [row for k in range(SHARDS) for row in json.loads((pool / f"{k:04d}.json").read_text())]
    rng = np.random.default_rng(3)
    texts = [describe(facts_of(row), rng) for row in rows]
    ids_NL = tokenizer(["", *texts], padding="max_length", truncation=True, return_tensors="pt").input_ids
    empty_L, ids_NL = ids_NL[0], ids_NL[1:]
    sizes_N6 = torch.tensor([[row["original"]] * 2 + [row["top"], row["left"], SIZE, SIZE] for row in rows]).float()
    encoded, again = [], []
    with torch.no_grad():
        for key, part in enumerate(torch.arange(len(pictures)).split(32)):
            encoded.append(vae.encoder(to_signed(torch.from_numpy(pictures[part]))))
            again.append(denoised(model, encoded[-1], ids_NL[part], empty_L, sizes_N6[part], key))
    return pictures, torch.cat(encoded), torch.cat(again)


def draw_batch(pictures: np.ndarray, encoded: Tensor, again: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Latents of BATCH windows and the pixels (BATCH, 3, 64, 64) that they are to become."""
    latents, wanted = [], []
    for k in rng.integers(0, len(pictures), BATCH):
        y, x = rng.integers(0, SIZE // PATCH - WINDOW + 1, 2)
        source = encoded if rng.random() < ENCODED_SHARE else again
        latents.append(source[k, :, y : y + WINDOW, x : x + WINDOW])
        y, x, side = PATCH * y, PATCH * x, PATCH * WINDOW
        wanted.append(pictures[k, y : y + side, x : x + side])
    return torch.stack(latents), to_signed(torch.from_numpy(np.stack(wanted)))


def train(vae: PatchAutoencoder, data: tuple[np.ndarray, Tensor, Tensor], state_file: Path, steps: int) -> None:
    """Train the residual on (pictures, latents, latents after `denoised`)."""
    weights = list(vae.residual.parameters())
    optimizer = torch.optim.AdamW(weights, lr=PEAK_RATE, weight_decay=0.0, betas=(0.9, 0.98))
    first = 0
    if state_file.exists():
        state = torch.load(state_file)
        vae.residual.load_state_dict(state["residual"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    start = time.perf_counter()
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * min(1.0, (step + 1) / 50) * (0.51 + 0.5 * math.cos(math.pi * step / steps))
        latents, wanted = draw_batch(*data, np.random.default_rng((8, step)))
        with torch.autocast("cpu", torch.bfloat16):
            restored = vae.residual(latents)
        made = vae.decoder(latents) + restored.float()
        loss = loss_of(made, wanted) + GRID_WEIGHT * (spectrum(made) - spectrum(wanted)).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        if step < 3 or (step + 1) % 50 == 0:
            print(f"step {step + 1} loss {loss.item():.5f} {time.perf_counter() - start:.0f} s", flush=True)
        if (step + 1) % 250 == 0 or step + 1 == steps:
            parts = {"residual": vae.residual.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(parts | {"step": step + 1}, state_file)


@torch.no_grad()
def _report(name: str, vae: PatchAutoencoder, pictures: np.ndarray, latents: Tensor) -> None:
    made, wanted = vae.decode(latents).sample, to_signed(torch.from_numpy(pictures))
    kept = laplacian_variance(made).median() / laplacian_variance(wanted).median()
    steps = blockiness(made).median()
    print(f"{name}: steps at the grid {steps:.3f} of those inside, detail kept {kept:.2f}", flush=True)


def main() -> None:
    """Make the latents, train, say what changed, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", type=Path)
    parser.add_argument("autoencoder", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    args = parser.parse_args()
    torch.set_num_threads(1)
    vae = PatchAutoencoder.from_pretrained(args.autoencoder / "vae")
    data = make_latents(vae, args.pool, args.autoencoder, args.run)
    pictures, _, again = data
    _report("before", vae, pictures[-256:], again[-256:])
    train(vae, tuple(part[:-256] for part in data), args.autoencoder / "finished.pt", args.steps)
    _report("after", vae, pictures[-256:], again[-256:])
    vae.save_pretrained(args.autoencoder / "vae_finished")


if __name__ == "__main__":
    main()
