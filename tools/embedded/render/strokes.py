"""Many small shapes at once: blades, leaves, petals and discs, each sampled densely enough to leave no
hole.
"""

from __future__ import annotations

import numpy as np

from tools.embedded.render.canvas import Canvas, Label, unit


def _steps(canvas: Canvas, length: float) -> int:
    """Samples needed along a length (in half pictures) so that neighbours are under one sample apart."""
    return max(int(length * canvas.side * 0.5 * 1.2) + 2, 3)


def _grid(a0: float, a1: float, na: int, b0: float, b1: float, nb: int) -> tuple[np.ndarray, np.ndarray]:
    """Local coordinates of one shape's points, both (1, M)."""
    a, b = np.meshgrid(np.linspace(a0, a1, na, dtype=np.float32), np.linspace(b0, b1, nb, dtype=np.float32))
    return a.reshape(1, -1), b.reshape(1, -1)


def blades(
    canvas: Canvas,
    root_N2: np.ndarray,
    tip_N2: np.ndarray,
    bend_N: np.ndarray,
    width_N: np.ndarray,
    colour_N3: np.ndarray,
    depth_N: np.ndarray | float,
    label: Label = Label.GRASS,
) -> None:
    """Tapered curved blades from root to tip; bend moves the middle sideways; later blades lie on top."""
    root_N2, tip_N2, bend_N, width_N = (np.asarray(a, np.float32) for a in (root_N2, tip_N2, bend_N, width_N))
    reach = float(np.abs(tip_N2 - root_N2).max() + np.abs(bend_N).max())
    n_along, n_across = _steps(canvas, reach), _steps(canvas, float(width_N.max()))
    t, s = _grid(0, 1, n_along, -0.5, 0.5, n_across)
    taper = width_N[:, None] * (1 - t**2) + 0.002
    x = root_N2[:, :1] * (1 - t) + tip_N2[:, :1] * t + bend_N[:, None] * t * (1 - t) * 2 + s * taper
    y = root_N2[:, 1:] * (1 - t) + tip_N2[:, 1:] * t
    shade = (0.45 + 0.6 * t) * (1 - 0.5 * np.abs(s + 0.15))
    albedo = colour_N3.astype(np.float32)[:, None] * shade[..., None]
    normal = unit(np.stack([s * 1.6, 0.4 + 0 * s, 1 + 0 * s], -1))
    depth = np.broadcast_to(np.asarray(depth_N, np.float32).reshape(-1, 1), (len(bend_N), 1))
    canvas.splat(x, y, label, albedo, normal, depth, (0.35 + 0.65 * t))


def leaves(
    canvas: Canvas,
    centre_N2: np.ndarray,
    size_N: np.ndarray,
    angle_N: np.ndarray,
    tilt_N3: np.ndarray,
    colour_N3: np.ndarray,
    depth_N: np.ndarray | float = 1.0,
    aspect: float = 0.45,
    label: Label = Label.FOLIAGE,
    open_N: np.ndarray | float = 1.0,
    gloss: float = 0.0,
) -> None:
    """Pointed leaves with a midrib and veins: size is the half length, tilt the leaf's normal."""
    centre_N2, size_N, angle_N = (np.asarray(a, np.float32) for a in (centre_N2, size_N, angle_N))
    n = _steps(canvas, float(size_N.max()) * 2)
    t, s = _grid(-1, 1, n, -1, 1, max(int(n * aspect), 3))
    half = (1 - t * t) * (1 - 0.25 * t) * aspect
    along, across = t * size_N[:, None], s * half * size_N[:, None]
    cos, sin = np.cos(angle_N)[:, None], np.sin(angle_N)[:, None]
    x = centre_N2[:, :1] + along * cos - across * sin
    y = centre_N2[:, 1:] + along * sin + across * cos
    rib = np.exp(-np.square(s / 0.09))
    veins = 0.5 + 0.5 * np.cos(14 * (t - 0.5 * np.abs(s)))
    shade = 0.84 + 0.3 * rib + 0.12 * veins * (1 - rib) - 0.2 * np.abs(s) ** 4
    albedo = np.clip(colour_N3.astype(np.float32)[:, None] * shade[..., None], 0, 1)
    fold = s * 0.35
    normal = tilt_N3[:, None] + np.stack([-sin * fold, cos * fold, 0 * (sin * fold)], -1)
    open_NM = np.broadcast_to(np.asarray(open_N, np.float32).reshape(-1, 1), x.shape)
    depth = np.broadcast_to(np.asarray(depth_N, np.float32).reshape(-1, 1), (len(size_N), 1))
    canvas.splat(x, y, label, albedo, unit(normal), depth, open_NM, gloss)


def discs(
    canvas: Canvas,
    centre_N2: np.ndarray,
    radius_N: np.ndarray,
    colour_N3: np.ndarray,
    depth_N: np.ndarray | float,
    label: Label,
    petals: int = 0,
    flat: float = 1.0,
) -> None:
    """Shaded discs, or flower heads with that many petals; flat squeezes them vertically."""
    centre_N2, radius_N = np.asarray(centre_N2, np.float32), np.asarray(radius_N, np.float32)
    n = _steps(canvas, float(radius_N.max()) * 2)
    a, r = _grid(0, 2 * np.pi, 3 * n, 0, 1, max(n // 2 + 1, 3))
    rim = 0.72 + 0.28 * np.cos(petals * a) if petals else np.ones_like(a)
    x = centre_N2[:, :1] + np.cos(a) * r * rim * radius_N[:, None]
    y = centre_N2[:, 1:] + np.sin(a) * r * rim * radius_N[:, None] * flat
    shade = 0.72 + 0.3 * r + 0.12 * np.sin(a)
    albedo = np.clip(colour_N3.astype(np.float32)[:, None] * shade[..., None], 0, 1)
    normal = unit(np.stack([np.cos(a) * r * 0.4, np.sin(a) * r * 0.4 + 0.3, np.ones_like(a)], -1))
    depth = np.broadcast_to(np.asarray(depth_N, np.float32).reshape(-1, 1), (len(radius_N), 1))
    canvas.splat(x, y, label, albedo, normal, depth)


def varied(rng: np.random.Generator, colour: np.ndarray, count: int, spread: float = 0.15) -> np.ndarray:
    """Draw `count` colours (N, 3) around one: brightness and hue vary."""
    bright = np.exp(rng.normal(0, spread, (count, 1)))
    return np.clip(colour * bright * np.exp(rng.normal(0, spread * 0.4, (count, 3))), 0, 1).astype(np.float32)
