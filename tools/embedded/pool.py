"""Render the training scenes into shards on disk; resumable, any number of processes.

`python -m tools.embedded.pool OUT --shards 120 [--part 0/2] [--split t2i_train]`: scene i of a pool is
subject i % 24 with seed i // 24 of the split; a shard holds ten seeds of every subject, less the held-out
combinations.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tools.embedded.render.scenes import SUBJECTS, render
from tools.embedded.splits import first_seed, held_out

SIZE = 128
SEEDS_A_SHARD = 10
LARGE = 192
LARGE_SHARE = 0.2
"""This share of the scenes is rendered at 192 pixels and cropped, so that the crop conditioning means
something.
"""


def one(subject: str, seed: int) -> tuple[np.ndarray, dict] | None:
    """One training picture (128, 128, 3) and its row, or None for a held-out combination."""
    rng = np.random.default_rng((seed, len(subject), 77))
    size = LARGE if rng.random() < LARGE_SHARE else SIZE
    top, left = (int(v) for v in rng.integers(0, size - SIZE + 1, 2))
    scene = render(subject, seed, size)
    if held_out(scene.facts):
        return None
    row = {
        "subject": subject,
        "seed": seed,
        "original": size,
        "top": top,
        "left": left,
        "facts": asdict(scene.facts),
    }
    return scene.image_HWC[top : top + SIZE, left : left + SIZE], row


def write_shard(out: Path, split: str, shard: int) -> None:
    """Render one shard: NNNN.npy (uint8 N H W C) and NNNN.json (a row a picture); the rows are written
    last.
    """
    first = first_seed(split) + shard * SEEDS_A_SHARD
    made = [one(s, first + k) for k in range(SEEDS_A_SHARD) for s in SUBJECTS]
    kept = [m for m in made if m is not None]
    temporary = out / f".{shard:04d}.npy"
    np.save(temporary, np.stack([image for image, _ in kept]))
    temporary.rename(out / f"{shard:04d}.npy")
    rows = out / f".{shard:04d}.json"
    rows.write_text(json.dumps([row for _, row in kept]))
    rows.rename(out / f"{shard:04d}.json")


def main() -> None:
    """Render every missing shard of this part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shards", type=int, default=120)
    parser.add_argument("--part", default="0/1")
    parser.add_argument("--split", default="t2i_train")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    part, parts = (int(v) for v in args.part.split("/"))
    for shard in range(part, args.shards, parts):
        if not (args.out / f"{shard:04d}.json").exists():
            write_shard(args.out, args.split, shard)
            print(f"shard {shard} of {args.shards}", flush=True)


if __name__ == "__main__":
    main()
