"""Times of day and the skies that go with them."""

from __future__ import annotations

import numpy as np

from tools.embedded.render.canvas import Canvas, Label, Light, mix, smooth, srgb, unit
from tools.embedded.render.noise import Noise, look_up

PHRASES = {
    "day": ("on a sunny day", "in daylight", "under a blue sky"),
    "sunset": ("at sunset", "in golden evening light", "under an orange sky"),
    "dawn": ("at dawn", "in pink morning light", "under a pink sky"),
    "grey": ("on a grey day", "under an overcast sky", "in dull light"),
    "night": ("at night", "in moonlight", "under a dark night sky"),
}
"""How a caption names a time of day."""


def light(time: str, rng: np.random.Generator, fog: float = 0.0) -> Light:
    """Make the light of a time of day; the sun's side and height vary."""
    side = rng.choice([-1.0, 1.0]) * rng.uniform(0.35, 0.95)
    table = {
        "day": ((side, 0.95, 0.55), (2.1, 2.0, 1.8), (0.32, 0.42, 0.6), (58, 110, 190), (178, 208, 234)),
        "sunset": (
            (side * 1.6, 0.42, 0.5),
            (2.4, 1.2, 0.5),
            (0.3, 0.24, 0.34),
            (92, 92, 150),
            (252, 160, 84),
        ),
        "dawn": (
            (side * 1.5, 0.5, 0.6),
            (1.7, 1.15, 1.05),
            (0.38, 0.36, 0.5),
            (120, 150, 210),
            (250, 196, 194),
        ),
        "grey": (
            (side * 0.4, 1.0, 0.5),
            (0.5, 0.5, 0.5),
            (0.6, 0.63, 0.68),
            (138, 146, 156),
            (196, 202, 208),
        ),
        "night": ((side, 0.9, 0.5), (0.28, 0.34, 0.52), (0.05, 0.065, 0.13), (6, 9, 26), (26, 36, 70)),
    }
    toward, sun, ambient, zenith, horizon = table[time]
    jitter = rng.uniform(0.92, 1.08, 3)
    return Light(
        toward=unit(np.array(toward, np.float32)),
        sun=np.array(sun, np.float32),
        ambient=np.array(ambient, np.float32),
        zenith=(srgb(*zenith) * jitter).astype(np.float32),
        horizon=(srgb(*horizon) * rng.uniform(0.94, 1.06)).astype(np.float32),
        fog=fog,
    )


def paint_gradient(canvas: Canvas, horizon_y: float = 0.0, glow: float = 1.0) -> None:
    """Fill the whole canvas with clear sky: horizon colour at horizon_y, zenith at the top, a glow at the
    sun.
    """
    rise = np.clip((canvas.y - horizon_y) / (1.15 - horizon_y), 0.0, 1.0) ** 0.65
    sky = mix(canvas.light.horizon, canvas.light.zenith, rise)
    toward = canvas.light.toward
    distance = np.hypot(canvas.x - toward[0] * 1.3, canvas.y - horizon_y - toward[1] * 0.8)
    sky += np.exp(-3.0 * distance)[..., None] * canvas.light.sun * (0.16 * glow)
    canvas.emission[:] = sky


def paint_clouds(canvas: Canvas, noise: Noise, horizon_y: float, cover: float, scale: float = 0.32) -> None:
    """Add a perspective layer of clouds above horizon_y; cover 0..1 is about the share of sky it hides."""
    n = noise.fbm(256, 4, gain=0.58, periodic=True)
    shift = np.sign(canvas.light.toward[0]) * 6
    lit = n - np.roll(n, (3, int(-shift)), (0, 1))
    tile = np.stack([n, lit], -1)
    away = 1.0 / np.maximum(canvas.y - horizon_y + 0.16, 0.05)
    start = noise.rng().random(2)
    read = look_up(tile, start[0] + canvas.x * away * scale * 0.5, start[1] + away * scale)
    threshold = 1.2 - 2.4 * cover
    dense = smooth(threshold, threshold + 0.9, read[..., 0]) * (canvas.y > horizon_y)
    dense *= smooth(0.0, 0.25, canvas.y - horizon_y)
    bright = np.clip(0.86 + 0.34 * read[..., 1] - 0.13 * read[..., 0], 0.5, 1.2)
    own = canvas.light.ambient * 0.75 + canvas.light.sun * 0.38
    canvas.emission[:] = mix(canvas.emission, own * bright[..., None], dense * 0.94)
    canvas.label[(dense > 0.5) & (canvas.label == Label.SKY)] = int(Label.CLOUD)


def paint_stars(canvas: Canvas, rng: np.random.Generator, count: int, bright: float = 1.0) -> None:
    """Scatter stars with power-law brightness and slight colours over the sky."""
    x, y = rng.uniform(-1, 1, count), rng.uniform(-1, 1, count)
    power = np.minimum(rng.pareto(1.5, count) * 0.35 + 0.12, 6.0) * bright
    warm = rng.uniform(-0.25, 0.25, count)
    colour = np.stack([1 + warm, np.ones(count), 1 - warm], -1) * power[:, None]
    radius = 0.004 + 0.004 * np.minimum(power, 3.0)
    for k in range(count):
        size = max(int(np.ceil(radius[k] * canvas.side)), 1)
        col = int((x[k] + 1) / 2 * canvas.side)
        row = int((1 - y[k]) / 2 * canvas.side)
        box = (slice(max(row - size, 0), row + size + 1), slice(max(col - size, 0), col + size + 1))
        distance = np.hypot(canvas.x[box] - x[k], canvas.y[box] - y[k])
        spot = np.exp(-np.square(distance / (radius[k] * 0.62)))
        canvas.emission[box] += spot[..., None] * colour[k] * (canvas.label[box] == Label.SKY)[..., None]


def paint_sky(canvas: Canvas, noise: Noise, horizon_y: float, time: str, cover: float) -> None:
    """Fill the canvas with the sky of a time of day: gradient, stars at night, clouds."""
    paint_gradient(canvas, horizon_y)
    if time == "night":
        paint_stars(canvas, noise.rng(), 90)
    if cover > 0:
        paint_clouds(canvas, noise, horizon_y, cover)
