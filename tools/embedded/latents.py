"""Training batches: a pure function of (seed, step, rank) over the encoded shards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTokenizer

from tools.embedded.captions import caption
from tools.embedded.pool import SIZE
from tools.embedded.render.canvas import Facts

CLEAN_SHARE = 0.5
EMPTY_SHARE = 0.1
"""Captions replaced by "", so that classifier-free guidance has something to start from."""
TIME_SHIFT = 2.0
"""Time steps are drawn towards noise, as Esser et al. 2024 (arXiv 2403.03206, section 5.3.2) do for large images: the
latents of neighbouring patches are so alike that noise hides the outlines only above step 800 or so."""


@dataclass(frozen=True)
class Batch:
    """Latents (N, Z, h, w), tokens (N, L), sizes (N, 6), noise like the latents, time steps (N,)."""

    latents: Tensor
    ids_NL: Tensor
    sizes_N6: Tensor
    noise: Tensor
    steps_N: Tensor


def facts_of(row: dict) -> Facts:
    """Rebuild the facts of a scene from its stored row."""
    stored = row["facts"]
    return Facts(stored["subject"], stored["phrase"], tuple(stored["details"]), tuple(stored["traits"]))


class LatentPool:
    """Shards 0 .. count - 1 of the encoded pool, memory-mapped."""

    def __init__(self, folder: Path, count: int, signs_Z: Tensor, tokenizer: CLIPTokenizer, mix: str) -> None:
        self._maps = [np.load(folder / f"{k:04d}.npy", mmap_mode="r") for k in range(count)]
        rows = [json.loads((folder / f"{k:04d}.json").read_text()) for k in range(count)]
        self._rows = [(k, j, row) for k, part in enumerate(rows) for j, row in enumerate(part)]
        self._signs = signs_Z.numpy().astype(np.float32)[:, None, None]
        self._tokenizer, self._mix = tokenizer, mix
        self._tokens: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def _ids(self, text: str) -> list[int]:
        if text not in self._tokens:
            padded = self._tokenizer(text, padding="max_length", truncation=True)
            self._tokens[text] = padded.input_ids
        return self._tokens[text]

    def _one(self, rng: np.random.Generator) -> tuple[np.ndarray, list[int], list[int]]:
        shard, at, row = self._rows[int(rng.integers(len(self._rows)))]
        version = 0 if rng.random() < CLEAN_SHARE else int(rng.integers(1, 3))
        latents = self._maps[shard][at, version].astype(np.float32)
        left = row["left"]
        if rng.random() < 0.5:
            latents = latents[:, :, ::-1] * self._signs
            left = row["original"] - SIZE - left
        kind = row["degraded"][version - 1] if version else ""
        text = caption(facts_of(row), kind, rng, self._mix)
        if rng.random() < EMPTY_SHARE:
            text = ""
        return latents, self._ids(text), [row["original"], row["original"], row["top"], left, SIZE, SIZE]

    def batch(self, count: int, *key: int) -> Batch:
        """Draw `count` samples with their noise and stratified time steps, all from the key."""
        rng = np.random.default_rng(key)
        drawn = [self._one(rng) for _ in range(count)]
        latents = torch.from_numpy(np.stack([d[0] for d in drawn]))
        noise = torch.from_numpy(rng.standard_normal(latents.shape, np.float32))
        even = (np.arange(count) + rng.random(count)) / count
        steps = 1000 * TIME_SHIFT * even / (1 + (TIME_SHIFT - 1) * even)
        return Batch(
            latents,
            torch.tensor([d[1] for d in drawn]),
            torch.tensor([d[2] for d in drawn], dtype=torch.float32),
            noise,
            torch.from_numpy(steps.astype(np.int64).clip(0, 999)),
        )
