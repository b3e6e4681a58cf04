"""Hot-air balloons in the sky and fruit on a table."""

from __future__ import annotations

import numpy as np

from tools.embedded.render import sky
from tools.embedded.render.canvas import Canvas, Facts, Label, mix, smooth, srgb, unit
from tools.embedded.render.noise import Noise
from tools.embedded.render.strokes import blades
from tools.embedded.render.terrain import look, make_relief

_COLOURS = {
    "red": ((204, 36, 36), (250, 236, 220)),
    "blue": ((36, 80, 190), (244, 206, 60)),
    "green": ((34, 140, 76), (246, 240, 220)),
    "yellow": ((246, 196, 40), (220, 80, 40)),
    "rainbow": ((0, 0, 0), (0, 0, 0)),
}
_RAINBOW = (
    np.array([(206, 36, 40), (240, 130, 30), (248, 214, 50), (50, 160, 80), (40, 90, 200), (120, 50, 160)]) / 255.0
)


def balloon(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """One striped hot-air balloon, or three, over hills."""
    name = str(rng.choice(list(_COLOURS)))
    time = str(rng.choice(["day", "sunset", "dawn", "grey"]))
    several = bool(rng.random() < 0.4)
    canvas = Canvas(side, sky.light(time, rng, fog=0.05))
    horizon = float(rng.uniform(-0.85, -0.65))
    sky.paint_sky(canvas, noise, horizon, time, float(rng.choice([0.0, 0.35])))
    relief = make_relief(
        noise.ridged(256, 3, 0.4, True) * 0.7,
        8.0,
        1.1,
        canvas.light.toward,
        noise.fbm(256, 16, 0.7, periodic=True),
    )
    view = look(canvas, relief, 0.8, horizon, 0.6, 14.0, (1.0, 5.0), tuple(rng.random(2)))
    green = mix(srgb(62, 94, 38), srgb(126, 134, 66), smooth(-1, 1, view.spare))
    canvas.paint(view.hit, Label.GROUND, green, view.normal, view.depth, None, view.open)
    places = [(-0.5, 0.45, 0.3), (0.5, 0.1, 0.36), (-0.3, -0.3, 0.22)] if several else [(0.0, 0.2, 0.62)]
    for x, y, radius in places:
        at = np.array([x, y]) + rng.uniform(-0.12, 0.12, 2)
        _one_balloon(canvas, rng, at, radius * rng.uniform(0.85, 1.08), name, 3.0 / radius)
    noun = f"three {name} hot-air balloons" if several else f"a {name} hot-air balloon"
    details = (str(rng.choice(sky.PHRASES[time])), "over hills")
    return canvas, Facts("balloon", noun, details, (name, "three" if several else "one", time))


def _one_balloon(
    canvas: Canvas, rng: np.random.Generator, at: np.ndarray, radius: float, name: str, depth: float
) -> None:
    whole, canvas = canvas, canvas.part(at[0] - radius, at[0] + radius, at[1] - 1.8 * radius, at[1] + radius)
    dx, dy = (canvas.x - at[0]) / radius, (canvas.y - at[1]) / radius
    """One envelope of gores with its ropes and basket."""
    up = np.clip((dy + 1.35) / 2.2, 0, 1)
    wide = np.where(dy > -0.1, np.sqrt(np.clip(1 - np.square((dy + 0.1) / 0.95), 0, 1)), 0)
    wide = np.where(dy <= -0.1, 0.2 + 0.8 * smooth(-1.35, -0.1, dy) * (1 - 0.12 * smooth(-0.1, -1.35, dy)), wide)
    mask = (np.abs(dx) < wide) & (dy > -1.3) & (dy < 0.85)
    sine = np.clip(dx / np.maximum(wide, 1e-3), -1, 1)
    longitude = np.arcsin(sine) / np.pi * 10 + rng.uniform(0, 2)
    gore = np.floor(longitude).astype(np.int64)
    colour = _cloth(rng, name, gore, dy)
    seam = np.abs(longitude - gore - 0.5) * 2
    colour = colour * (0.72 + 0.28 * smooth(1.0, 0.8, seam))[..., None]
    normal = unit(np.stack([sine, (up - 0.55) * 1.5, np.sqrt(1 - np.square(sine)) + 0.05], -1)).astype(np.float32)
    _ropes(whole, at, radius, depth)
    canvas.paint(mask, Label.BALLOON, colour, normal, depth)
    _basket(canvas, at, radius, depth)


def _cloth(rng: np.random.Generator, name: str, gore: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Colours of the gores: a rainbow, or two in turn with a band around."""
    if name == "rainbow":
        return (_RAINBOW[gore % 6] ** 2.2).astype(np.float32)
    first, second = _COLOURS[name]
    colour = np.where((gore % 2 == 0)[..., None], srgb(*first), srgb(*second))
    band = (dy > 0.12) & (dy < 0.3)
    return np.where(band[..., None], srgb(*second) if rng.random() < 0.5 else srgb(*first), colour)


def _ropes(canvas: Canvas, at: np.ndarray, radius: float, depth: float) -> None:
    x, y = at[0], at[1] - 1.3 * radius
    ropes = np.array([[x - 0.17 * radius, y], [x + 0.17 * radius, y]])
    feet = np.array([[x - 0.1 * radius, y - 0.26 * radius], [x + 0.1 * radius, y - 0.26 * radius]])
    blades(
        canvas,
        feet,
        ropes,
        np.zeros(2),
        np.full(2, 0.008),
        np.full((2, 3), 0.08, np.float32),
        depth,
        Label.BALLOON,
    )


def _basket(canvas: Canvas, at: np.ndarray, radius: float, depth: float) -> None:
    x, y = at[0], at[1] - 1.3 * radius
    basket = (np.abs(canvas.x - x) < 0.12 * radius) & (canvas.y < y - 0.24 * radius) & (canvas.y > y - 0.44 * radius)
    weave = 0.75 + 0.25 * np.sign(np.sin(canvas.x * 120 / radius**0.5) * np.sin(canvas.y * 120 / radius**0.5))
    canvas.paint(basket, Label.BALLOON, srgb(134, 90, 50) * weave[..., None], np.array([0, 0, 1], np.float32), depth)


_FRUIT = {
    "red apples": ((186, 28, 30), 0.92, 0.5),
    "green apples": ((130, 176, 50), 0.92, 0.5),
    "oranges": ((240, 130, 20), 1.0, 0.35),
    "lemons": ((246, 212, 46), 0.78, 0.3),
    "plums": ((84, 36, 90), 0.95, 0.25),
}


def fruit(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """Fruit on a table in front of a plain wall."""
    name = str(rng.choice(list(_FRUIT)))
    number = int(rng.choice([1, 2, 3]))
    table = str(rng.choice(["wooden", "white", "dark"]))
    canvas = Canvas(side, sky.light("day", rng))
    edge = float(rng.uniform(-0.05, 0.25))
    tint = srgb(*rng.uniform(120, 215, 3))
    wall = np.clip(tint * (1 + 0.04 * noise.fbm(side, 32, 0.85) - 0.25 * (canvas.y - 1))[..., None], 0, 1) * 0.6
    canvas.paint(canvas.x < 9, Label.WALL, wall, np.array([0, 0, 1], np.float32), 6.0)
    below = np.maximum(edge - canvas.y, 1e-3)
    fibre = noise.fbm(side, (48, 3), 0.8) if table == "wooden" else 0.3 * noise.fbm(side, 48, 0.9)
    rgb = {"wooden": (150, 100, 60), "white": (226, 224, 220), "dark": (52, 46, 46)}[table]
    top = np.clip(srgb(*rgb) * (1 + 0.2 * fibre)[..., None], 0, 1)
    plank = np.abs(((canvas.x / (below + 0.9) * 2.2) % 1) - 0.5) < 0.485
    if table == "wooden":
        top = top * np.where(plank, 1.0, 0.35)[..., None]
    canvas.paint(
        canvas.y < edge,
        Label.TABLE,
        top,
        np.array([0, 0.9, 0.43], np.float32),
        (6 - 3 * below).astype(np.float32),
    )
    spots = {1: [(0.0, 0.5)], 2: [(-0.4, 0.4), (0.36, 0.43)], 3: [(-0.48, 0.33), (0.5, 0.35), (0.0, 0.42)]}[number]
    for k, (x, radius) in enumerate(spots):
        at = (x + float(rng.normal(0, 0.05)), -0.3 - 0.1 * k + float(rng.normal(0, 0.04)))
        _one_fruit(canvas, rng, noise, at, radius * rng.uniform(0.9, 1.08), name, 4.0 - k)
    noun = {1: "one", 2: "two", 3: "three"}[number]
    phrase = f"{noun} {name if number > 1 else name[:-1]}"
    return canvas, Facts("fruit", phrase, (f"on a {table} table",), (name, noun, table))


def _one_fruit(
    canvas: Canvas,
    rng: np.random.Generator,
    noise: Noise,
    at: tuple[float, float],
    radius: float,
    name: str,
    depth: float,
) -> None:
    """A round fruit with its shadow, pores or streaks, and a stem."""
    rgb, squash, gloss = _FRUIT[name]
    dx, dy = (canvas.x - at[0]) / radius, (canvas.y - at[1]) / (radius * squash)
    _cast_shadow(canvas, dx, dy)
    if name == "lemons":
        tips = np.exp(-np.square((np.abs(dx) - 1.05) / 0.2)) * np.exp(-np.square(dy / 0.25))
        dx = dx * 0.86 / (1 + 0.16 * tips)
    squared = dx * dx + dy * dy
    ball = np.stack([dx, dy, np.sqrt(np.maximum(1 - squared, 0))], -1)
    pores = noise.fbm(canvas.side, 32, 0.9)
    rough = 0.22 if name in ("oranges", "lemons") else 0.03
    down, right = np.gradient(pores)
    normal = unit(ball + rough * np.stack([-right, down, 0 * right], -1)).astype(np.float32)
    streak = noise.fbm(canvas.side, (4, 20), 0.75) if "apples" in name else pores
    other = srgb(220, 160, 50) if name == "red apples" else srgb(*(np.array(rgb) * 0.72 + 50))
    albedo = mix(srgb(*rgb), other, 0.35 * smooth(0.2, 1.8, streak + dy))
    crease = smooth(0.0, 0.2, np.hypot(dx, (dy - 0.8) / 0.5)) if name != "lemons" else 1.0
    shade = np.clip(0.55 + 0.45 * smooth(-1.0, -0.2, dy), 0, 1) * crease
    surface = depth - ball[..., 2] * radius
    canvas.paint(squared < 1, Label.FRUIT, np.clip(albedo, 0, 1), normal, surface, None, shade, gloss)
    if name != "lemons":
        root = np.array([[at[0], at[1] + radius * squash * 0.78]])
        tip = root + np.array([[rng.normal(0, 0.04), 0.3 * radius]])
        brown, width = srgb(84, 62, 34)[None] * 1.5, np.array([0.09 * radius])
        blades(canvas, root, tip, np.zeros(1), width, brown, depth - radius, Label.FRUIT)


def _cast_shadow(canvas: Canvas, dx: np.ndarray, dy: np.ndarray) -> None:
    """Darken the table under a fruit, on the side away from the light."""
    lean = -np.sign(canvas.light.toward[0])
    shadow = np.hypot(dx - 0.35 * lean, (dy + 0.85) / 0.34)
    lit = np.where(canvas.label == Label.TABLE, 0.15 + 0.85 * smooth(0.5, 1.25, shadow), 1.0)
    canvas.open *= lit.astype(np.float32)
