"""Grass, foliage, a flower, a meadow: surfaces and objects made of blades, leaves and petals."""

from __future__ import annotations

import numpy as np

from tools.embedded.render import sky
from tools.embedded.render.canvas import Canvas, Facts, Label, mix, smooth, srgb, unit
from tools.embedded.render.noise import Noise, look_up
from tools.embedded.render.strokes import blades, discs, leaves, varied
from tools.embedded.render.terrain import plane


def _tilts(rng: np.random.Generator, count: int, spread: float) -> np.ndarray:
    return unit(np.concatenate([rng.normal(0, spread, (count, 2)), np.ones((count, 1))], 1)).astype(np.float32)


def grass(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """Grass close up, blades one behind the other."""
    kind = str(rng.choice(["green", "dry yellow", "dark green"]))
    look = str(rng.choice(["long", "short"]))
    colour = {"green": (112, 168, 46), "dry yellow": (206, 178, 98), "dark green": (46, 104, 40)}[kind]
    canvas = Canvas(side, sky.light("day", rng))
    patch = noise.fbm(side, 6)
    canvas.paint(patch < 99, Label.GROUND, mix(srgb(26, 26, 12), srgb(52, 46, 24), smooth(-1, 1, patch)))
    count, length = (620, 0.62) if look == "long" else (1500, 0.24)
    y = np.sort(rng.uniform(-1.35, 1.0, count))[::-1]
    root = np.stack([rng.uniform(-1.15, 1.15, count), y], 1)
    tip = root + np.stack([rng.normal(0, 0.3, count), rng.uniform(0.6, 1.25, count)], 1) * length
    near = (1.2 - y) / 2.4
    colours = varied(rng, srgb(*colour), count, 0.26) * (0.5 + 0.65 * near[:, None])
    width = rng.uniform(0.016, 0.034, count) * (1.0 if look == "long" else 0.8)
    blades(canvas, root, tip, rng.normal(0, 0.12, count) * length, width, colours, 2.0 - near)
    return canvas, Facts("grass", f"{look} {kind} grass", ("up close",) if look == "long" else (), (kind, look))


def foliage(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """Overlapping leaves that fill the picture."""
    kind = str(rng.choice(["green", "red autumn", "yellow autumn", "dark ivy"]))
    size = str(rng.choice(["large", "small"]))
    colour = {
        "green": (92, 156, 48),
        "red autumn": (188, 58, 30),
        "yellow autumn": (222, 166, 44),
        "dark ivy": (34, 82, 46),
    }
    canvas = Canvas(side, sky.light("day", rng))
    canvas.paint(canvas.x < 9, Label.GROUND, srgb(20, 22, 12), depth=2.0)
    count, reach = (150, 0.32) if size == "large" else (640, 0.14)
    level = np.linspace(0, 1, count)
    centre = rng.uniform(-1.15, 1.15, (count, 2))
    colours = varied(rng, srgb(*colour[kind]), count, 0.24)
    if kind.endswith("autumn"):
        other = rng.random(count) < 0.3
        colours[other] = varied(rng, srgb(206, 116, 36), int(other.sum()), 0.2)
    leaves(
        canvas,
        centre,
        rng.uniform(0.75, 1.1, count) * reach,
        rng.uniform(0, 2 * np.pi, count),
        _tilts(rng, count, 0.55),
        colours,
        2.0 - level,
        0.5,
        Label.FOLIAGE,
        0.15 + 0.85 * level,
        0.12,
    )
    return canvas, Facts(
        "leaves",
        f"{size} {kind} leaves",
        ("covering everything",) if rng.random() < 0.3 else (),
        (kind, size),
    )


def flower(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """One large flower, or three, in front of dark leaves."""
    name = str(rng.choice(["red", "yellow", "white", "purple", "pink", "blue"]))
    rgb = {
        "red": (206, 32, 36),
        "yellow": (248, 198, 30),
        "white": (244, 244, 240),
        "purple": (128, 58, 176),
        "pink": (242, 130, 170),
        "blue": (66, 92, 206),
    }[name]
    several = bool(rng.random() < 0.35)
    canvas = Canvas(side, sky.light("day", rng))
    canvas.paint(canvas.x < 9, Label.GROUND, srgb(18, 30, 14), depth=4.0)
    count = 110
    tone = varied(rng, srgb(44, 88, 36), count, 0.3)
    leaves(
        canvas,
        rng.uniform(-1.1, 1.1, (count, 2)),
        rng.uniform(0.15, 0.34, count),
        rng.uniform(0, 6.3, count),
        _tilts(rng, count, 0.5),
        tone,
        3.0,
        0.4,
        Label.FOLIAGE,
        rng.uniform(0.1, 0.7, count),
    )
    petals = int(rng.choice([5, 6, 8, 13]))
    spots = [(-0.45, 0.42, 0.42), (0.5, 0.3, 0.4), (-0.05, -0.45, 0.46)] if several else [(0.0, 0.0, 0.8)]
    for x, y, radius in spots:
        centre = np.array([x, y]) + rng.uniform(-0.1, 0.1, 2)
        _one_flower(canvas, rng, centre, radius * rng.uniform(0.85, 1.1), petals, srgb(*rgb))
    phrase = f"three {name} flowers" if several else f"a {name} flower"
    return canvas, Facts("flower", phrase, ("with green leaves",), (name, "three" if several else "one"))


def _one_flower(
    canvas: Canvas,
    rng: np.random.Generator,
    centre: np.ndarray,
    radius: float,
    petals: int,
    colour: np.ndarray,
) -> None:
    turn = rng.uniform(0, 6.3)
    aspect = float(np.clip(3.2 / petals, 0.24, 0.6))
    for layer, scale in enumerate((1.0, 0.72) if petals > 6 else (1.0,)):
        angle = turn + np.arange(petals) * 2 * np.pi / petals + layer * np.pi / petals
        out = np.stack([np.cos(angle), np.sin(angle)], 1)
        tilt = unit(np.concatenate([out * 0.45, np.ones((petals, 1))], 1)).astype(np.float32)
        leaves(
            canvas,
            centre + out * radius * 0.52 * scale,
            np.full(petals, radius * 0.52 * scale),
            angle,
            tilt,
            varied(rng, colour, petals, 0.07),
            1.0 - 0.1 * layer,
            aspect,
            Label.FLOWER,
        )
    seeds = 90
    k = np.arange(seeds)
    spiral = np.sqrt(k / seeds)[:, None] * np.stack([np.cos(k * 2.39996), np.sin(k * 2.39996)], 1)
    heart = srgb(120, 70, 20) if colour[0] > 0.7 and colour[2] < 0.3 else srgb(236, 176, 40)
    order = np.argsort(-k)
    discs(
        canvas,
        (centre + spiral * radius * 0.22)[order],
        np.full(seeds, radius * 0.035),
        varied(rng, heart, seeds, 0.2),
        0.8,
        Label.FLOWER,
    )


_PETALS = {
    "red": (214, 36, 28),
    "yellow": (248, 206, 40),
    "purple": (136, 74, 190),
    "white": (246, 246, 242),
}


def meadow(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """A field of flowers in perspective."""
    time = str(rng.choice(["day", "sunset", "grey"]))
    name = str(rng.choice(["red", "yellow", "purple", "white", "mixed"]))
    canvas = Canvas(side, sky.light(time, rng, fog=0.02))
    horizon = float(rng.uniform(0.2, 0.55))
    sky.paint_sky(canvas, noise, horizon, time, float(rng.choice([0.0, 0.4])))
    mask, depth, across = plane(canvas, 0.6, horizon + 0.02 * noise.fbm(side, (2, 2))[side // 2][None])
    tone = look_up(noise.fbm(256, 8, 0.7, periodic=True), across * 0.3, depth * 0.3)
    green = mix(srgb(66, 98, 30), srgb(118, 140, 52), smooth(-1, 1, tone))
    up = np.array([0, 0.9, 0.43], np.float32)
    canvas.paint(mask, Label.GRASS, green, up, np.minimum(depth, 60).astype(np.float32))
    _field(canvas, rng, horizon, name)
    phrase = f"a meadow of {name} flowers"
    return canvas, Facts("meadow", phrase, (str(rng.choice(sky.PHRASES[time])),), (name, time))


def _field(canvas: Canvas, rng: np.random.Generator, horizon: float, name: str) -> None:
    """Stems in perspective, half of them with a flower."""
    count = 1500
    below = np.sort(rng.uniform(0.02, 1.15 + horizon, count))
    far = 1.3 * 0.6 / below
    size = 0.5 / far
    root = np.stack([rng.uniform(-1.1, 1.1, count), horizon - below - 0.05 * size], 1)
    tip = root + np.stack([rng.normal(0, 0.05, count), rng.uniform(0.1, 0.26, count)], 1) * size[:, None]
    bend = rng.normal(0, 0.03, count) * size
    blades(canvas, root, tip, bend, 0.03 * size, varied(rng, srgb(90, 132, 44), count, 0.25), far)
    chosen = [srgb(*_PETALS[name])] if name != "mixed" else [srgb(*t) for t in _PETALS.values()]
    pick = rng.random(count) < 0.5
    colours = np.stack([chosen[k] for k in rng.integers(0, len(chosen), count)])
    colours = np.clip(colours * np.exp(rng.normal(0, 0.1, (count, 1))), 0, 1)
    for low, high in ((0.0, 0.12), (0.12, 0.35), (0.35, 0.8), (0.8, 2.0)):  # size classes keep sampling tight
        band = pick & (below >= low) & (below < high)
        if band.any():
            radius = 0.055 * size[band] + 0.006
            discs(canvas, tip[band], radius, colours[band], far[band], Label.FLOWER, 5, 0.75)
