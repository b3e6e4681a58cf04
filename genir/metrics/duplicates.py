"""Images that are there twice: which are the same, or nearly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np


def earlier_equals(values_N: np.ndarray) -> np.ndarray:
    """For each value the place of the first that is equal to it (N,): its own, where there is none before it."""
    _, first, inverse = np.unique(values_N, return_index=True, return_inverse=True)
    return first[inverse]


def near(
    hashes_N: np.ndarray, bits: int, features: Callable[[int], np.ndarray | None], distance: float
) -> Iterator[tuple[int, int]]:
    """(image, earlier image that it nearly equals) by place, for every image that nearly equals an earlier kept one.

    The first of similar images stays, and what is like a dropped image only, stays too. Hashes propose, features
    decide; features are asked for, and kept in memory, only of images whose hash another one shares or nearly shares.

    Args:
        hashes_N: uint64, in order of preference.
        bits: hashes that differ in so many bits at most are compared.
        features: of the image at a place; None where its pixels are not there: it stays.
        distance: root mean square difference of features up to which two images are the same.
    """
    distinct, group_N = np.unique(hashes_N, return_inverse=True)
    neighbours = defaultdict[int, list[int]](list)
    for one, other in alike(distinct, bits).tolist():
        neighbours[one].append(other)
        neighbours[other].append(one)
    shared = np.bincount(group_N, minlength=len(distinct)) > 1
    kept = defaultdict[int, list[tuple[int, np.ndarray]]](list)
    for place, group in enumerate(group_N.tolist()):
        if not (shared[group] or group in neighbours):
            continue
        own_F = features(place)
        if own_F is None:
            continue
        candidates = sorted((pair for near in (group, *neighbours[group]) for pair in kept[near]), key=lambda p: p[0])
        if candidates:
            gaps = np.sqrt(np.square(np.stack([other_F for _, other_F in candidates]) - own_F).mean(axis=1))
            close = np.flatnonzero(gaps <= distance)
            if len(close):
                yield place, candidates[close[0]][0]
                continue
        kept[group].append((place, own_F))


def alike(hashes_N: np.ndarray, bits: int) -> np.ndarray:
    """Pairs of places (P, 2) of different 64-bit hashes that differ in at most `bits` bits, 0..7; each once.

    Multi-index hashing (Norouzi et al. 2012, arXiv 1307.2982): of four 16-bit parts one differs in at most one bit
    when all differ in at most seven, so only hashes that share a part, or nearly, are compared. `hashes_N` are
    distinct uint64. Work grows with N and the size of the buckets, about N / 65536 each, not with N^2.
    """
    if not 0 <= bits <= 7:
        raise ValueError(f"bits is {bits}, allowed are 0 to 7")
    near = [np.uint64(0), *(np.uint64(1) << np.uint64(bit) for bit in range(16))] if bits > 3 else [np.uint64(0)]
    found = [np.empty((0, 2), np.int64)]
    for part in range(4):
        parts_N = (hashes_N >> np.uint64(16 * part)) & np.uint64(0xFFFF)
        order = np.argsort(parts_N, kind="stable")
        ordered = parts_N[order]
        for flip in near:
            first = np.searchsorted(ordered, parts_N ^ flip, side="left")
            count = np.searchsorted(ordered, parts_N ^ flip, side="right") - first
            for chunk in _chunks(count):
                here = np.repeat(chunk, count[chunk])
                offset = np.arange(len(here)) - np.repeat(np.cumsum(count[chunk]) - count[chunk], count[chunk])
                there = order[np.repeat(first[chunk], count[chunk]) + offset]
                keep = here < there
                here, there = here[keep], there[keep]
                close = np.bitwise_count(hashes_N[here] ^ hashes_N[there]) <= bits
                found.append(np.stack([here[close], there[close]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _chunks(count_N: np.ndarray, most: int = 1 << 22) -> list[np.ndarray]:
    """Places in runs whose counts sum to about `most`: bounded memory."""
    if not len(count_N):
        return []
    run = np.cumsum(count_N) // most
    return np.split(np.arange(len(count_N)), np.flatnonzero(np.diff(run)) + 1)
