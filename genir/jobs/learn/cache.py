"""Latents and text features that are computed once: numbered items in chunk files, each whole or absent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from genir import storage
from genir.backbone.text import Side
from genir.errors import Stopped
from genir.records import Conditioning
from genir.runs.meter import Meter

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 128  # items a file: 34 MB of SDXL's latents


class Cache:
    """`count` items, each a few named tensors; processes fill it together, any number of times."""

    def __init__(self, folder: Path, name: str, count: int) -> None:
        self._folder, self._name, self._count = folder, name, count
        self._open: dict[int, Any] = {}

    def fill(
        self, make: Callable[[int], dict[str, Tensor]], rank: int, world: int, should_stop: Callable[[], bool]
    ) -> None:
        """Make the items of every absent chunk that falls to this rank; raises Stopped when asked to stop."""
        with storage.explained(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        absent = [chunk for chunk in range(rank, -(-self._count // CHUNK), world) if not self._path(chunk).exists()]
        items = {chunk: range(chunk * CHUNK, min(self._count, (chunk + 1) * CHUNK)) for chunk in absent}
        done = 0
        with Meter(sum(map(len, items.values())), "cached item", on_screen=rank == 0) as meter:
            for chunk in absent:
                path, tensors = self._path(chunk), dict[str, Tensor]()
                for item in items[chunk]:
                    if should_stop():
                        raise Stopped(f"asked to stop while {path} was made")
                    tensors |= {f"{item}.{field}": tensor.cpu().contiguous() for field, tensor in make(item).items()}
                    done += 1
                    meter(done)
                with storage.explained(path):
                    storage.write(path, tensor_bytes(tensors))

    def read(self, item: int, field: str) -> Tensor:
        """One tensor of an item, on the CPU; only its own bytes are read."""
        chunk = item // CHUNK
        if chunk not in self._open:
            self._open[chunk] = safe_open(self._path(chunk), "pt")
        return self._open[chunk].get_tensor(f"{item}.{field}")

    def _path(self, chunk: int) -> Path:
        return self._folder / f"{self._name}-{chunk:06d}.safetensors"


class Features(Mapping[tuple[Side, str], Conditioning]):
    """Side and text -> what the frozen encoders say of it, read from a cache."""

    def __init__(self, cache: Cache, texts: Sequence[tuple[Side, str]], device: torch.device) -> None:
        self._cache, self._device = cache, device
        self._items = {text: item for item, text in enumerate(texts)}

    def __getitem__(self, text: tuple[Side, str]) -> Conditioning:
        item = self._items[text]
        pooled_NP, mask_NL = (self._cache.read(item, name).to(self._device) for name in ("pooled", "mask"))
        return Conditioning(
            self._cache.read(item, "embeds").to(self._device),
            pooled_NP if pooled_NP.numel() else None,
            (bool(self._cache.read(item, "cut")),),
            mask_NL if mask_NL.numel() else None,
        )

    def __iter__(self) -> Iterator[tuple[Side, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, text: object) -> bool:
        return text in self._items


def fields(features: Conditioning) -> dict[str, Tensor]:
    """What `Features` reads back."""
    pooled_NP, mask_NL = (
        torch.empty(0) if tensor is None else tensor for tensor in (features.pooled_NP, features.mask_NL)
    )
    cut = torch.tensor(features.truncated[0])
    return {"embeds": features.embeds_NLD, "pooled": pooled_NP, "mask": mask_NL, "cut": cut}
