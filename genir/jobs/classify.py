"""`genir classify`: a classifier of positives against negatives, for `gates.classifier`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from genir import __version__, ranks, seeds, storage, trainset
from genir.errors import ConfigError, TrainSetError
from genir.metrics.classifier import PixelClassifier, as_input, probability, save
from genir.metrics.leak import auc, leak_auc
from genir.objective.classifier import train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from genir.config.classify import Classify
    from genir.trainset import TrainSet

LEAST = 10  # photographs on either side of the split
JUDGED = 500  # held-out pairs at most
LEAK_PAIRS = 200
READERS = 4
CACHED = 4096  # squares that stay in memory: 200 MB of 128 pixels

Pair = tuple[int, int]


def classify(config: Classify) -> Iterator[str]:
    """Train, judge on photographs that were held out, and write the file; yields lines for the user.

    Raises:
        GenirError: a set that cannot be used, too few photographs, a file that is there already.
    """
    out = Path(config.out)
    if out.exists():
        raise ConfigError(f"out: {out} exists already; choose another file (out=...)")
    torch.set_num_threads(config.threads)
    device = ranks.device(config.device, ranks.Worker())
    found = trainset.read(Path(config.data.folder), [(config.crop, config.crop)])
    learned, judged = _split(config, found)
    yield f"set        {len(learned)} pairs to learn from, {len(judged)} of other photographs to judge by"
    torch.manual_seed(seeds.derive(config.seed, "classifier", "weights"))
    network = PixelClassifier().to(device)
    with ThreadPoolExecutor(READERS, "reader") as pool:
        read = lru_cache(CACHED)(lambda n: found.pictures[n].pixels())

        def pixels(indices: Sequence[int]) -> Tensor:
            return torch.from_numpy(np.stack(list(pool.map(read, indices)))).to(device)

        def draw(step: int) -> tuple[Tensor, Tensor]:
            chosen = [
                learned[seeds.choice(config.seed, f"{step}:{n}", "pair", len(learned))] for n in range(config.batch)
            ]
            return as_input(pixels([pair[0] for pair in chosen])), as_input(pixels([pair[1] for pair in chosen]))

        train(network, draw, config.steps)
        network.eval()
        positives_N, negatives_N = (
            torch.cat([probability(pixels([pair[side]]), network).cpu() for pair in judged]) for side in (0, 1)
        )
        leak = {origin: _leak(found, origin) for origin in ("roundtrip", "sdedit")}
    area = auc(negatives_N, positives_N)
    ordered = float((positives_N > negatives_N).double().mean())
    facts = {
        "auc": f"{area:.4f}",
        "ordered": f"{ordered:.4f}",
        "judged_pairs": str(len(judged)),
        "leak": json.dumps(leak),
        "data_sha256": found.sha256,
        "config": json.dumps(config.model_dump(mode="json", exclude={"out", "device", "threads"})),
        "genir": __version__,
    }
    with storage.explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(f"{out.name}.part")
        save(network.cpu(), facts, part)
        storage.write(out, part.read_bytes())
        part.unlink()
    yield f"judged     AUC {area:.3f}; {ordered:.1%} of the held-out pairs in the right order (0.5: chance)"
    for origin, (value, count) in leak.items():
        told = "too few to say" if value is None else f"AUC {value:.3f} (0.5: cannot be told apart)"
        yield f"leak test  {origin} against photograph, {count} photographs: {told}"
    yield f"use it as  gates.classifier={{file: {out}, min: 0.5}} (score, generate); genir calibrate sets min"


def _split(config: Classify, found: TrainSet) -> tuple[list[Pair], list[Pair]]:
    """Pairs of equal origin, divided by photograph: all that was made of one is on one side."""
    allowed = {role: set(found.of(role, origins)) for role, origins in _origins(config)}
    pairs = [pair for pair in found.pairs() if pair[0] in allowed["positive"] and pair[1] in allowed["negative"]]
    photographs = sorted({found.pictures[first].pair for first, _ in pairs})
    ordered = sorted(photographs, key=lambda name: seeds.derive(config.seed, name, "held out"))
    held = set(ordered[: round(config.held_out * len(ordered))])
    if len(held) < LEAST or len(ordered) - len(held) < LEAST:
        raise TrainSetError(
            f"{found.folder}: pairs of {len(ordered)} photographs, {len(held)} of them held out; at least {LEAST} on "
            "either side are needed"
        )
    learned = [pair for pair in pairs if found.pictures[pair[0]].pair not in held]
    judged = [pair for pair in pairs if found.pictures[pair[0]].pair in held]
    return learned, judged[:: -(-len(judged) // JUDGED)]


def _origins(config: Classify) -> tuple[tuple[trainset.Role, tuple[str, ...] | None], ...]:
    return ("positive", config.data.positives), ("negative", config.data.negatives)


def _leak(found: TrainSet, origin: str) -> tuple[float | None, int]:
    """How well positives of this origin are told from their photographs by traces alone."""
    own: dict[str, dict[str, int]] = {}
    for n in found.of("positive", None):
        own.setdefault(found.pictures[n].pair, {})[found.pictures[n].origin] = n
    both = (places for places in own.values() if {"photograph", origin} <= places.keys())

    def read(n: int) -> Tensor:
        return torch.from_numpy(found.pictures[n].pixels())

    value, count = leak_auc((read(one["photograph"]), read(one[origin])) for one in islice(both, LEAK_PAIRS))
    return None if value is None else round(value, 4), count
