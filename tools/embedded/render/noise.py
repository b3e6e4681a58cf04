"""Fields of seeded noise that do not depend on the resolution they are looked at.

A field is a sum of octaves; octave k is a lattice of Gaussian values interpolated by cubic B-splines. A
larger picture adds octaves and changes none, so the same seed shows the same scene at 128 and at 256
pixels.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_GAIN = 4.36
"""Lattices are multiplied by this: cubic B-splines leave 0.479 of a deviation, so an octave has one of
about 2.1.
"""


@lru_cache(maxsize=512)
def _basis(side: int, cells: int, periodic: bool) -> np.ndarray:
    """Cubic B-spline weights: (side, cells) when periodic, else (side, cells + 3)."""
    position = (np.arange(side) + 0.5) / side * cells
    first = np.floor(position).astype(int)
    t = position - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6.0
    columns = cells if periodic else cells + 3
    matrix = np.zeros((side, columns), np.float32)
    rows = np.arange(side)
    for k in range(4):
        np.add.at(matrix, (rows, (first + k) % columns), weights[:, k])
    return matrix


class Noise:
    """All random fields of one scene; every call takes the next stream, whatever the size of the picture."""

    def __init__(self, *seed: int) -> None:
        self._seed = seed
        self._stream = 0

    def rng(self) -> np.random.Generator:
        """Return a generator of the next stream."""
        self._stream += 1
        return np.random.default_rng((*self._seed, self._stream))

    def octaves(self, side: int, cells: tuple[int, int], count: int = 12, periodic: bool = False) -> list[np.ndarray]:
        """Octaves as (side, side) fields of deviation 2.1; cells (rows, columns) double each octave.

        Octaves finer than two samples a cell are left out: they could not be seen.
        """
        self._stream += 1
        out = []
        for k in range(count):
            cy, cx = (min(c << k, side // 2) for c in cells)
            if min(cells) << k > side // 2:
                break
            rng = np.random.default_rng((*self._seed, self._stream, k))
            extra = 0 if periodic else 3
            lattice = rng.standard_normal((cy + extra, cx + extra), dtype=np.float32)
            field = _basis(side, cy, periodic) @ lattice @ _basis(side, cx, periodic).T
            out.append(field * np.float32(_GAIN))
        return out

    def fbm(
        self,
        side: int,
        cells: tuple[int, int] | int = 4,
        gain: float = 0.5,
        count: int = 12,
        periodic: bool = False,
    ) -> np.ndarray:
        """Fractal noise (side, side), mean 0, deviation about 2: octave k weighs gain**k."""
        pair = (cells, cells) if isinstance(cells, int) else cells
        scale = np.sqrt((1 - gain**2) / (1 - gain ** (2 * count))) if gain < 1 else count**-0.5
        total = np.zeros((side, side), np.float32)
        for k, octave in enumerate(self.octaves(side, pair, count, periodic)):
            total += np.float32(scale * gain**k) * octave
        return total

    def ridged(self, side: int, cells: int = 4, gain: float = 0.5, periodic: bool = False) -> np.ndarray:
        """Ridged multifractal (side, side), about 0..1: sharp crests, smooth valleys."""
        total = np.zeros((side, side), np.float32)
        weight = np.ones((side, side), np.float32)
        for k, octave in enumerate(self.octaves(side, (cells, cells), 12, periodic)):
            crest = np.square(np.clip(1.0 - np.abs(octave) * 0.8, 0.0, 1.0)) * weight
            total += np.float32(gain**k) * crest
            weight = np.clip(crest * 2.0, 0.0, 1.0)
        return total * np.float32(1 - gain) * 1.35


def look_up(tile_TTC: np.ndarray, u_HW: np.ndarray, v_HW: np.ndarray) -> np.ndarray:
    """Read a periodic tile bilinearly at (u, v) in tiles (columns, rows); returns u's shape plus the
    channels.
    """
    side = tile_TTC.shape[0]
    flat = tile_TTC.reshape(side * side, -1)
    u, v = u_HW * side, v_HW * side
    iu, iv = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    fu, fv = (u - iu).astype(np.float32)[..., None], (v - iv).astype(np.float32)[..., None]
    u0, u1, v0, v1 = iu % side, (iu + 1) % side, (iv % side) * side, ((iv + 1) % side) * side
    top = flat[v0 + u0] * (1 - fu) + flat[v0 + u1] * fu
    low = flat[v1 + u0] * (1 - fu) + flat[v1 + u1] * fu
    out = top * (1 - fv) + low * fv
    return out[..., 0] if tile_TTC.ndim == 2 else out


class Cells:
    """Voronoi cells of a jittered grid at given points.

    f1, f2: distances to the nearest and second nearest centre in cells; dx, dy: vector from the nearest
    centre; pick: an integer 0..4095 per cell to draw a cell's properties with.
    """

    def __init__(self, rng: np.random.Generator, u_HW: np.ndarray, v_HW: np.ndarray, jitter: float = 0.9) -> None:
        centres = ((rng.random((64, 64, 2)) - 0.5) * jitter + 0.5).astype(np.float32)
        iu, iv = np.floor(u_HW).astype(np.int64), np.floor(v_HW).astype(np.int64)
        fu, fv = (u_HW - iu).astype(np.float32), (v_HW - iv).astype(np.float32)
        self.f1 = np.full(u_HW.shape, 9.0, np.float32)
        self.f2 = np.full(u_HW.shape, 9.0, np.float32)
        self.dx, self.dy = np.zeros_like(self.f1), np.zeros_like(self.f1)
        self.pick = np.zeros(u_HW.shape, np.int64)
        for j in (-1, 0, 1):
            for i in (-1, 0, 1):
                cell = ((iv + j) % 64) * 64 + (iu + i) % 64
                centre = centres.reshape(4096, 2)[cell]
                dx, dy = fu - i - centre[..., 0], fv - j - centre[..., 1]
                distance = np.sqrt(dx * dx + dy * dy)
                near = distance < self.f1
                self.f2 = np.where(near, self.f1, np.minimum(self.f2, distance))
                self.f1 = np.where(near, distance, self.f1)
                self.dx, self.dy = np.where(near, dx, self.dx), np.where(near, dy, self.dy)
                self.pick = np.where(near, cell, self.pick)
