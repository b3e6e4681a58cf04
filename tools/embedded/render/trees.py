"""Forests of firs and single trees."""

from __future__ import annotations

import numpy as np

from tools.embedded.render import sky
from tools.embedded.render.canvas import Canvas, Facts, Label, mix, smooth, srgb, unit
from tools.embedded.render.noise import Noise
from tools.embedded.render.strokes import blades, leaves, varied


def _fir(
    canvas: Canvas,
    rng: np.random.Generator,
    foot: tuple[float, float],
    height: float,
    depth: float,
    colour: np.ndarray,
    snow: float,
) -> None:
    """One fir: drooping twigs in tiers along a trunk."""
    x, y = foot
    trunk, top, wide = np.array([[x, y]]), np.array([[x, y + height]]), np.array([0.035 * height])
    blades(canvas, trunk, top, np.zeros(1), wide, srgb(70, 52, 38)[None], depth, Label.TRUNK)
    count = int(np.clip(120 * height, 45, 170))
    level = np.sort(rng.uniform(0.1, 1.0, count))
    side = rng.uniform(-1, 1, count)
    reach = (1.02 - level) * 0.3 * height * (0.75 + 0.35 * np.cos(level * 46))
    root = np.stack([x + side * reach * 0.1, y + level * height], 1)
    tip = root + np.stack([side * reach, -0.1 * height * (1.1 - level)], 1)
    shade = 0.55 + 0.45 * (side * np.sign(canvas.light.toward[0]) * 0.5 + 0.5)
    colours = varied(rng, colour, count, 0.22) * shade[:, None].astype(np.float32)
    white = rng.random(count) < snow
    colours[white] = varied(rng, srgb(236, 240, 246), int(white.sum()), 0.06)
    bend, wide = rng.normal(0, 0.02, count) * height, np.full(count, 0.055 * height)
    blades(canvas, root, tip, bend, wide, colours, depth, Label.FOLIAGE)


def forest(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """Rows of firs, far ones in haze."""
    kind = str(rng.choice(["green", "snowy", "autumn"]))
    time = str(rng.choice(["day", "dawn", "grey", "sunset"]))
    misty = bool(rng.random() < 0.5)
    colour = {"green": (40, 84, 44), "snowy": (52, 78, 66), "autumn": (206, 124, 36)}[kind]
    ground = {"green": (70, 92, 44), "snowy": (232, 236, 244), "autumn": (138, 100, 52)}[kind]
    canvas = Canvas(side, sky.light(time, rng, fog=0.24 if misty else 0.07))
    horizon = float(rng.uniform(-0.35, -0.05))
    sky.paint_sky(canvas, noise, horizon, time, 0.0)
    floor = noise.fbm(side, (16, 5), 0.7)
    label = Label.SNOW if kind == "snowy" else Label.GROUND
    soil = srgb(*ground) * (1 + (0.06 if kind == "snowy" else 0.25) * floor[..., None])
    depth = np.clip(2.2 / np.maximum(horizon - canvas.y + 0.16, 0.1), 1, 9).astype(np.float32)
    canvas.paint(canvas.y < horizon, label, np.clip(soil, 0, 1), np.array([0, 0.9, 0.4], np.float32), depth)
    for depth_, count, height in ((8.0, 18, 0.6), (5.0, 11, 0.9), (3.0, 6, 1.25), (1.8, 2, 1.8)):
        for x in rng.permutation(np.linspace(-1.1, 1.1, count) + rng.normal(0, 0.6 / count, count)):
            foot = horizon + 0.05 - 0.9 / depth_ + rng.normal(0, 0.02)
            tall = height * rng.uniform(0.75, 1.2)
            tint = srgb(*colour) * np.exp(rng.normal(0, 0.15, 3))
            _fir(canvas, rng, (float(x), foot), tall, depth_, tint, 0.5 if kind == "snowy" else 0.0)
    phrase = {
        "green": "a green fir forest",
        "snowy": "a snowy forest in winter",
        "autumn": "an autumn forest",
    }[kind]
    details = (str(rng.choice(sky.PHRASES[time])), *(("in thick mist",) if misty else ()))
    return canvas, Facts("forest", phrase, details, (kind, time))


def _branches(rng: np.random.Generator, foot: np.ndarray, height: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grow a tree of straight limbs; returns roots, tips (N, 2) and widths (N,)."""
    limbs = [(foot, np.array([0.0, height * 0.42]), height * 0.075, 0)]
    done = []
    while limbs:
        root, reach, width, level = limbs.pop()
        tip = root + reach
        done.append((root, tip, width))
        if level < 4:
            for spread in (-1, 1, *((0,) if level < 2 else ())):
                turn = spread * rng.uniform(0.3, 0.65) + rng.normal(0, 0.1)
                cos, sin = np.cos(turn), np.sin(turn)
                new = np.array([cos * reach[0] - sin * reach[1], sin * reach[0] + cos * reach[1]])
                limbs.append((tip, new * rng.uniform(0.64, 0.8), width * 0.62, level + 1))
    done.sort(key=lambda limb: -limb[2])
    root_N2, tip_N2, width_N = (np.array(part) for part in zip(*done, strict=True))
    return root_N2, tip_N2, width_N


def tree(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """One tree on a hill."""
    kind = str(rng.choice(["green", "autumn", "blossoming", "bare"]))
    time = str(rng.choice(["day", "sunset", "dawn", "grey"]))
    canvas = Canvas(side, sky.light(time, rng))
    horizon = float(rng.uniform(-0.6, -0.4))
    sky.paint_sky(canvas, noise, horizon, time, float(rng.choice([0.0, 0.35])))
    hill = horizon + 0.1 * np.cos(canvas.x * 1.6 + rng.uniform(-1, 1)) + 0.01 * noise.fbm(side, 12)
    tone = {"bare": ((226, 230, 238), (206, 214, 226))}.get(kind, ((74, 104, 38), (126, 146, 58)))
    turf = mix(srgb(*tone[0]), srgb(*tone[1]), smooth(-2.5, 2.5, noise.fbm(side, (32, 16), 0.9)))
    label = Label.SNOW if kind == "bare" else Label.GRASS
    canvas.paint(canvas.y < hill, label, turf, np.array([0, 0.9, 0.4], np.float32), 4.0)
    x = float(rng.uniform(-0.25, 0.25))
    height = float(rng.uniform(1.0, 1.2))
    root, tip, width = _branches(rng, np.array([x, horizon + 0.02]), height)
    bark = srgb(84, 64, 48) if kind != "bare" else srgb(58, 50, 46)
    bend = np.zeros(len(root))
    for part in (slice(0, 1), slice(1, 13), slice(13, None)):
        tint = varied(rng, bark, len(root[part]), 0.1) * 1.6
        blades(canvas, root[part], tip[part], bend[part], width[part] * 1.15, tint, 2.0, Label.TRUNK)
    if kind != "bare":
        rgb = {"green": (78, 134, 46), "autumn": (222, 118, 30), "blossoming": (246, 178, 200)}[kind]
        _crown(canvas, rng, tip[13:], np.array([x, horizon + height * 0.85]), srgb(*rgb))
    phrase = {
        "green": "a green tree",
        "autumn": "an orange autumn tree",
        "blossoming": "a tree with pink blossoms",
        "bare": "a bare tree in the snow",
    }[kind]
    details = (("on a hill",) if rng.random() < 0.4 else ()) + (str(rng.choice(sky.PHRASES[time])),)
    return canvas, Facts("tree", phrase, details, (kind, time))


def _crown(canvas: Canvas, rng: np.random.Generator, tips: np.ndarray, middle: np.ndarray, colour: np.ndarray) -> None:
    """Clusters of leaves around the twigs, lit like a ball."""
    each = 22
    centre = np.repeat(tips, each, 0) + rng.normal(0, 0.055, (len(tips) * each, 2))
    count = len(centre)
    out = (centre - middle) / 0.6
    front = rng.uniform(-0.5, 1.0, count)
    normal = unit(np.concatenate([out, front[:, None] + 0.35], 1) + rng.normal(0, 0.3, (count, 3))).astype(np.float32)
    order = np.argsort(front)
    open_ = np.clip(0.55 + 0.5 * front, 0.15, 1.0)
    leaves(
        canvas,
        centre[order],
        rng.uniform(0.022, 0.04, count),
        rng.uniform(0, 6.3, count),
        normal[order],
        varied(rng, colour, count, 0.2),
        1.9 - 0.2 * front[order],
        0.6,
        Label.FOLIAGE,
        open_[order],
    )
