"""Perspective views of height fields and planes, with exact depth and normals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.embedded.render.canvas import Canvas, unit
from tools.embedded.render.noise import look_up

FOCAL = 1.3
"""Focal length in half picture widths."""


@dataclass(frozen=True)
class Relief:
    """A periodic height field: height 0..1, its normals and its shadows, as one tile to look up."""

    tile_TTC: np.ndarray
    """Channels: height, normal x, y (up), z (to the camera), open to the sun, a free noise."""
    period: float
    """World length of one tile."""
    amplitude: float
    """World height of 1."""


@dataclass(frozen=True)
class View:
    """What the camera sees of a relief: one value a sample; everything is 0 where `hit` is false."""

    hit: np.ndarray
    depth: np.ndarray
    height: np.ndarray
    normal: np.ndarray
    open: np.ndarray
    spare: np.ndarray
    world_x: np.ndarray


def make_relief(
    height_TT: np.ndarray, period: float, amplitude: float, toward: np.ndarray, spare_TT: np.ndarray
) -> Relief:
    """Derive normals and cast shadows of a periodic height field under a sun at `toward`.

    Rows of the tile run away from the camera (world depth), columns to the right.
    """
    step = period / height_TT.shape[0]
    world = height_TT * amplitude
    slope_x = (np.roll(world, -1, 1) - np.roll(world, 1, 1)) / (2 * step)
    slope_z = (np.roll(world, -1, 0) - np.roll(world, 1, 0)) / (2 * step)
    normal = unit(np.stack([-slope_x, np.ones_like(slope_x), slope_z], -1))
    flat = max(float(np.hypot(toward[0], toward[2])), 1e-3)
    rise = toward[1] / flat
    blocked = np.full_like(world, -np.inf)
    for k in range(1, 15):
        far = 1.35**k * 1.2
        shift = (round(float(toward[2] / flat * far)), round(float(-toward[0] / flat * far)))
        blocked = np.maximum(blocked, np.roll(world, shift, (0, 1)) - world - far * step * rise)
    lit = np.clip(1.0 - blocked / (0.02 * amplitude + step * 0.3), 0.0, 1.0)
    tile = np.concatenate([height_TT[..., None], normal, lit[..., None], spare_TT[..., None]], -1)
    return Relief(tile.astype(np.float32), period, amplitude)


def look(
    canvas: Canvas,
    relief: Relief,
    camera: float,
    horizon_y: float,
    near: float,
    far: float,
    rise: tuple[float, float] | None = None,
    start: tuple[float, float] = (0.0, 0.0),
) -> View:
    """Project a relief: the first slice along each column's ray that covers a sample is its surface.

    camera: eye height over the highest ground near it. rise: depths between which the relief grows from 3 %
    to its full height (a valley in front of mountains).
    """
    depths = np.geomspace(near, far, 120).astype(np.float32)
    z_KW = np.broadcast_to(depths[:, None], (120, canvas.side))
    x_KW = canvas.x[:1] * z_KW / FOCAL
    u, v = x_KW / relief.period + start[0], z_KW / relief.period + start[1]
    grow = np.ones_like(depths)
    if rise is not None:
        t = np.clip((depths - rise[0]) / (rise[1] - rise[0]), 0, 1)
        grow = 0.03 + 0.97 * t * t * (3 - 2 * t)
    ground = look_up(relief.tile_TTC[..., 0], u, v) * relief.amplitude * grow[:, None]
    eye = camera + float(ground[depths < 2 * near].max())
    seen = horizon_y + FOCAL * (ground - eye) / z_KW
    top = np.maximum.accumulate(seen, 0)
    k_HW = np.stack([np.searchsorted(top[:, c], canvas.y[:, 0]) for c in range(canvas.side)], 1)
    hit = k_HW < 120
    k1 = np.clip(k_HW, 1, 119)
    columns = np.arange(canvas.side)[None]
    low, high = seen[k1 - 1, columns], seen[k1, columns]
    t = np.clip((canvas.y - low) / np.maximum(high - low, 1e-5), 0, 1)
    depth = (depths[k1 - 1] + t * (depths[k1] - depths[k1 - 1])).astype(np.float32)
    world_x = canvas.x * depth / FOCAL
    read = look_up(relief.tile_TTC, world_x / relief.period + start[0], depth / relief.period + start[1])
    scale = np.interp(depth, depths, grow)[..., None].astype(np.float32)
    normal = unit(np.concatenate([read[..., 1:2] * scale, read[..., 2:3], read[..., 3:4] * scale], -1))
    return View(hit, depth, read[..., 0], normal, read[..., 4], read[..., 5], world_x)


def plane(canvas: Canvas, camera: float, horizon_y: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mask, depth and world x of a horizontal plane below the horizon."""
    below = horizon_y - canvas.y
    mask = below > 0.004
    depth = FOCAL * camera / np.maximum(below, 0.004)
    return mask, depth, canvas.x * depth / FOCAL
