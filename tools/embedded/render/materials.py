"""Surfaces seen from the front: brick walls, wooden planks, pebbles."""

from __future__ import annotations

import numpy as np

from tools.embedded.render import sky
from tools.embedded.render.canvas import Canvas, Facts, Label, bump, mix, smooth, srgb, unit
from tools.embedded.render.noise import Cells, Noise


def draw_of(table: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Read a property of cells or bricks from a table, wrapping around."""
    return table[index % len(table)]


def brick_pattern(
    x: np.ndarray, y: np.ndarray, length: float, height: float, joint: float
) -> tuple[np.ndarray, np.ndarray]:
    """Running bond: distance into the brick from its joint (negative in the mortar), and an index a brick."""
    row = np.floor(y / height).astype(np.int64)
    shifted = x + (row % 2) * length * 0.5
    column = np.floor(shifted / length).astype(np.int64)
    u, v = shifted / length - column, y / height - row
    inside = np.minimum(np.minimum(u, 1 - u) * length, np.minimum(v, 1 - v) * height) - joint * 0.5
    return inside, row * 131 + column * 17


_BRICKS = {
    "red": (160, 68, 48),
    "brown": (112, 76, 58),
    "yellow": (204, 168, 106),
    "white painted": (224, 222, 214),
    "grey": (132, 132, 130),
}


def brick(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """A brick wall in running bond."""
    kind = str(rng.choice(["red", "brown", "yellow", "white painted", "grey"]))
    state = str(rng.choice(["clean", "old", "mossy"]))
    rgb = _BRICKS[kind]
    canvas = Canvas(side, sky.light("day", rng))
    height = float(rng.uniform(0.16, 0.27))
    x, y = canvas.x + rng.uniform(0, 1), canvas.y + rng.uniform(0, 1)
    wobble = 0.004 * noise.fbm(side, 16, 0.6)
    inside, index = brick_pattern(x + 3 + wobble, y + 3 + wobble, height * 2.4, height, height * 0.14)
    if state != "clean":
        inside = inside - 0.012 * np.maximum(noise.fbm(side, 12, 0.65), 0)
    is_brick = inside > 0
    grain = noise.fbm(side, 24, 0.85)
    spread = 0.05 if kind == "white painted" else 0.2
    own = np.exp(rng.normal(0, spread, 997))
    tint = rng.normal(0, spread * 0.35, (997, 3))
    face = srgb(*rgb) * (draw_of(own, index)[..., None] * (1 + draw_of(tint, index)) * (1 + 0.1 * grain[..., None]))
    mortar_rgb = (206, 204, 198) if kind == "white painted" else (168, 160, 148)
    mortar = srgb(*mortar_rgb) * (1 + 0.12 * grain[..., None])
    albedo = np.where(is_brick[..., None], face, mortar)
    stain = smooth(0.2, 1.5, noise.fbm(side, 3, 0.6))
    if state == "mossy":
        albedo = mix(albedo, srgb(74, 102, 40) * (1 + 0.3 * grain[..., None]), smooth(0.35, 0.8, stain + 0.12 * grain))
    elif state == "old":
        albedo = albedo * (1 - 0.45 * stain[..., None])
    relief = smooth(-0.01, 0.03, inside) * 0.03 + grain * (0.0012 + 0.001 * (state == "old"))
    shadow = smooth(-0.02, 0.02, inside) * 0.5 + 0.5
    canvas.paint(is_brick, Label.BRICK, np.clip(albedo, 0, 1), bump(relief), 1.0 - relief, None, shadow)
    canvas.paint(~is_brick, Label.MORTAR, np.clip(albedo, 0, 1), bump(relief), 1.0 - relief, None, shadow)
    phrase = f"{'an' if state == 'old' else 'a'} {state} {kind} brick wall"
    return canvas, Facts("brick wall", phrase, (), (kind, state))


def wood(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """Planks with grain and knots."""
    kind = str(rng.choice(["light", "brown", "dark", "grey weathered", "red painted"]))
    way = str(rng.choice(["horizontal", "vertical"]))
    rgb = {
        "light": (222, 182, 130),
        "brown": (154, 100, 58),
        "dark": (88, 56, 36),
        "grey weathered": (150, 144, 136),
        "red painted": (150, 42, 34),
    }[kind]
    canvas = Canvas(side, sky.light("day", rng))
    width = float(rng.uniform(0.3, 0.55))
    along, across = (canvas.x, canvas.y) if way == "horizontal" else (canvas.y, canvas.x)
    turn = (lambda field: field) if way == "horizontal" else (lambda field: field.T)
    place = (across + 3 + rng.uniform(0, width)) / width
    plank = np.floor(place).astype(np.int64)
    edge = np.minimum(place - plank, 1 - (place - plank)) * width
    shift = draw_of(rng.normal(0, 3, 31), plank)
    rings = 2.2 * turn(noise.fbm(side, (6, 2), 0.45, 3)) + across * 5 + shift
    for _ in range(int(rng.integers(1, 4))):
        x, y, size = *rng.uniform(-1, 1, 2), rng.uniform(0.03, 0.06)
        mine = plank == np.floor((y + 3) / width).astype(np.int64)
        rings = rings + mine * 9 * np.exp(-(((along - x) / (2.2 * size)) ** 2 + ((across - y) / size) ** 2))
    bands = np.abs(((rings * 1.6) % 1.0) - 0.5) * 2
    fibre = turn(noise.fbm(side, (64, 4), 0.8))
    tone = draw_of(np.exp(rng.normal(0, 0.13, 31)), plank)
    depth = 0.22 if kind == "red painted" else 0.55
    albedo = srgb(*rgb) * (tone * (1 - depth * bands**2.2) * (1 + 0.13 * fibre))[..., None]
    gap = smooth(0.004, 0.02, edge)
    height = 0.02 * smooth(0, 0.05, edge) + 0.0018 * fibre - 0.002 * bands
    canvas.paint(gap < 9, Label.WOOD, np.clip(albedo, 0.005, 1), bump(height), 1.0 - height, None, 0.1 + 0.9 * gap)
    canvas.albedo *= (0.15 + 0.85 * gap)[..., None]
    return canvas, Facts("wood", f"{way} {kind} wood planks", (), (kind, way))


_STONES = {
    "grey": [(132, 132, 134), (96, 98, 104), (170, 168, 164)],
    "brown": [(140, 104, 76), (106, 78, 58), (176, 144, 108)],
    "colourful": [(150, 74, 58), (84, 104, 124), (190, 170, 130), (90, 110, 80), (120, 90, 120)],
    "white": [(232, 230, 224), (216, 212, 204)],
    "black": [(44, 46, 52), (62, 62, 66)],
}


def pebbles(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """Rounded stones lying on each other."""
    kind = str(rng.choice(["grey", "brown", "colourful", "white", "black"]))
    size = str(rng.choice(["large", "small"]))
    tones = _STONES[kind]
    canvas = Canvas(side, sky.light("day", rng))
    frequency = 2.6 if size == "large" else 5.2
    warp = 0.06 * noise.fbm(side, 4, 0.5, 3)
    grain, veins = noise.fbm(side, 16, 0.85), noise.fbm(side, 6, 0.7)
    canvas.paint(canvas.x < 9, Label.GROUND, srgb(40, 36, 32) * (1 + 0.3 * grain[..., None]), depth=1.2)
    for layer in range(2):
        turn = rng.uniform(0, 6.3)
        u = (canvas.x * np.cos(turn) - canvas.y * np.sin(turn)) * frequency * 1.25 + 20 + warp * frequency
        v = (canvas.x * np.sin(turn) + canvas.y * np.cos(turn)) * frequency + 20 - warp * frequency
        cells = Cells(noise.rng(), u, v, 0.8)
        edge = cells.f2 - cells.f1
        keep = (layer == 0) | (((cells.pick * 97) % 100) < 45)
        stone = (edge > 0.09) & keep & (cells.f1 < 0.62)
        dome = np.sqrt(np.clip(1 - np.square(1 - np.clip((edge - 0.09) / 0.55, 0, 1)), 0, 1))
        height = dome * 0.5 / frequency + 0.0016 * grain
        colours = np.array([srgb(*tones[k]) for k in rng.integers(0, len(tones), 509)]) * np.exp(
            rng.normal(0, 0.12, (509, 1))
        )
        albedo = draw_of(colours, cells.pick) * (1 + 0.1 * grain + 0.08 * veins)[..., None]
        band = ((cells.pick * 31) % 7 == 0) & (np.abs(np.sin(cells.dx * 5 + cells.dy * 3 + veins * 0.5)) < 0.2)
        albedo = np.where(band[..., None], albedo * 0.7 + 0.12, albedo)
        canvas.open *= np.where(keep & ~stone & (cells.f1 < 0.75), 0.45, 1.0).astype(np.float32)
        lit, depth = 0.35 + 0.65 * smooth(0.05, 0.5, dome), 1.0 - 0.2 * layer - height
        canvas.paint(stone, Label.STONE, np.clip(albedo, 0.01, 1), bump(height), depth, None, lit, 0.1)
    canvas.normal = unit(canvas.normal)
    return canvas, Facts("pebbles", f"{size} {kind} pebbles", (), (kind, size))
