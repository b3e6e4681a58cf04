"""Latents of the training pool: `python -m tools.embedded.encode_pool POOL AE OUT`; resumable, shard by
shard.

A shard holds the latents of every clean picture and of two degraded twins as float16 (N, 3, Z, 16, 16),
and the names of the twins' degradations. Only shards that the pool has are encoded.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from tools.embedded.degrade import degrade
from tools.embedded.measure import to_signed
from tools.embedded.patch_autoencoder import PatchAutoencoder

TWINS = 2


@torch.no_grad()
def encode_shard(model: PatchAutoencoder, pictures: np.ndarray, shard: int) -> tuple[np.ndarray, list[list[str]]]:
    """Latents (N, 1 + TWINS, Z, h, w) of pictures and their degraded twins, and the degradations' names."""
    rng = np.random.default_rng((11, shard))
    versions, names = [pictures], []
    for _ in range(TWINS):
        twins = [degrade(picture, rng) for picture in pictures]
        versions.append(np.stack([pixels for pixels, _ in twins]))
        names.append([name for _, name in twins])
    latents = [model.encoder(to_signed(torch.from_numpy(v))).half().numpy() for v in versions]
    return np.stack(latents, 1), [list(pair) for pair in zip(*names, strict=True)]


def main() -> None:
    """Encode every shard that has no latents yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", type=Path)
    parser.add_argument("autoencoder", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    model = PatchAutoencoder.from_pretrained(args.autoencoder / "vae")
    for rows in sorted(args.pool.glob("[0-9]*.json")):
        done = args.out / rows.name
        if done.exists():
            continue
        latents, kinds = encode_shard(model, np.load(rows.with_suffix(".npy")), int(rows.stem))
        np.save(done.with_suffix(".npy"), latents)
        facts = [row | {"degraded": pair} for row, pair in zip(json.loads(rows.read_text()), kinds, strict=True)]
        temporary = args.out / f".{rows.name}"
        temporary.write_text(json.dumps(facts))
        temporary.rename(done)
    print(f"{len(list(args.out.glob('[0-9]*.json')))} shards encoded", flush=True)


if __name__ == "__main__":
    main()
