"""A house and a city skyline."""

from __future__ import annotations

import numpy as np

from tools.embedded.render import sky
from tools.embedded.render.canvas import Canvas, Facts, Label, mix, smooth, srgb, unit
from tools.embedded.render.materials import brick_pattern, draw_of
from tools.embedded.render.noise import Noise
from tools.embedded.render.strokes import blades, leaves, varied

UP = np.array([0.0, 0.85, 0.5], np.float32)


def city(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """A skyline of tall buildings with windows."""
    time = str(rng.choice(["day", "sunset", "night", "grey"]))
    place = str(rng.choice(["by the water", "behind trees"]))
    canvas = Canvas(side, sky.light(time, rng, fog=0.05))
    shore = float(rng.uniform(-0.55, -0.35))
    sky.paint_sky(canvas, noise, shore, time, float(rng.choice([0.0, 0.35])))
    lit = {"night": 0.5, "sunset": 0.25}.get(time, 0.0)
    for depth, count, low, high in ((9.0, 13, 0.4, 0.95), (5.0, 9, 0.5, 1.25), (2.5, 6, 0.3, 0.85)):
        for x in rng.permutation(np.linspace(-1.0, 1.0, count)):
            width = 1.6 / count * rng.uniform(0.6, 1.05)
            at = float(x + rng.normal(0, 0.03))
            _tower(canvas, rng, at, width, shore, shore + float(rng.uniform(low, high)), depth, lit)
    if place == "by the water":
        _mirror(canvas, noise, shore)
    else:
        _treetops(canvas, rng, shore)
    details = (str(rng.choice(sky.PHRASES[time])), place)
    return canvas, Facts("city", "a city skyline", details, (time, place))


def _treetops(canvas: Canvas, rng: np.random.Generator, shore: float) -> None:
    """Fill everything below the shore with leaves."""
    canvas.paint(canvas.y < shore, Label.GRASS, srgb(70, 100, 44), UP, 2.0)
    count = 420
    across = rng.uniform(-1.05, 1.05, count)
    spot = np.stack([across, shore + 0.02 - np.abs(rng.normal(0, 0.22, count))], 1)
    order = np.argsort(-spot[:, 1])
    size, angle = rng.uniform(0.03, 0.075, count), rng.uniform(0, 6.3, count)
    tilt = unit(rng.normal(0, 0.5, (count, 3)) + np.array([0, 0.3, 1])).astype(np.float32)
    leaves(canvas, spot[order], size, angle, tilt, varied(rng, srgb(58, 96, 40), count, 0.3), 1.9, 0.7)


def _tower(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    width: float,
    foot: float,
    top: float,
    depth: float,
    lit: float,
) -> None:
    """One building: a front with a window grid, a darker side, a flat or stepped roof."""
    tone = srgb(*(np.array([150, 146, 142]) * rng.uniform(0.6, 1.35) * (1 + rng.normal(0, 0.06, 3))).clip(30, 245))
    canvas = canvas.part(x - width / 2 - 0.01, x + width / 2 + 0.01, foot, top + 0.27)
    flank = x + width * (0.5 - 0.28)
    box = (np.abs(canvas.x - x) < width / 2) & (canvas.y < top) & (canvas.y >= foot)
    if rng.random() < 0.4:
        box |= (np.abs(canvas.x - x) < width * 0.25) & (canvas.y < top + 0.1) & (canvas.y >= foot)
    if rng.random() < 0.25:
        box |= (np.abs(canvas.x - x) < 0.008) & (canvas.y < top + 0.26) & (canvas.y >= top)
    pitch_x, pitch_y = rng.uniform(0.045, 0.075), rng.uniform(0.05, 0.085)
    u, v = (canvas.x - x + 5) / pitch_x, (top - canvas.y + 5 * pitch_y) / pitch_y
    inset = rng.uniform(0.14, 0.3)
    pane = (u % 1 > inset) & (u % 1 < 1 - inset) & (v % 1 > 0.22) & (v % 1 < 0.85) & (canvas.y < top - 0.02)
    number = np.floor(u).astype(np.int64) * 61 + np.floor(v).astype(np.int64) * 7
    on = draw_of(rng.random(499) < lit, number)
    is_side = canvas.x > flank
    normal = np.where(is_side[..., None], unit(np.array([0.9, 0, 0.45])), np.array([0.0, 0.05, 1.0])).astype(np.float32)
    glass = mix(srgb(40, 52, 66), srgb(140, 170, 196), draw_of(rng.random(499), number) * 0.7)
    canvas.paint(box, Label.WALL, tone * np.where(is_side, 0.75, 1.0)[..., None], normal, depth)
    warm = srgb(255, 214, 130) * draw_of(rng.uniform(0.5, 1.3, 499), number)[..., None]
    canvas.paint(box & pane, Label.WINDOW, glass, normal, depth, warm * on[..., None], 1.0, 0.25)


def _mirror(canvas: Canvas, noise: Noise, shore: float) -> None:
    """Fill everything below the shore with water that mirrors what is above."""
    seen = canvas.shade()
    wave = noise.fbm(canvas.side, (40, 8), 0.7)
    depth_in = np.clip(shore - canvas.y, 0, 1)
    row = ((1 - (2 * shore - canvas.y + wave * (0.012 + 0.05 * depth_in))) / 2 * canvas.side).astype(int)
    row = np.clip(row, 0, canvas.side - 1)
    column = np.clip(np.arange(canvas.side)[None] + (wave * 1.5).astype(int), 0, canvas.side - 1)
    light = seen[row, column] * (0.68 + 0.08 * wave)[..., None]
    canvas.paint(
        canvas.y < shore,
        Label.WATER,
        np.zeros(3, np.float32),
        np.array([0, 1, 0], np.float32),
        2.0,
        light.astype(np.float32),
    )


def house(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """A house with a pitched roof on a lawn."""
    wall = str(rng.choice(["white", "yellow", "blue", "red brick", "wooden"]))
    roof = str(rng.choice(["red", "grey", "brown"]))
    time = str(rng.choice(["day", "sunset", "grey", "night"]))
    canvas = Canvas(side, sky.light(time, rng))
    ground = float(rng.uniform(-0.62, -0.5))
    sky.paint_sky(canvas, noise, ground + 0.15, time, float(rng.choice([0.0, 0.35])))
    _garden(canvas, rng, noise, ground)
    x, half = float(rng.uniform(-0.15, 0.15)), float(rng.uniform(0.5, 0.64))
    eaves = ground + float(rng.uniform(0.58, 0.72))
    front = (np.abs(canvas.x - x) < half) & (canvas.y > ground) & (canvas.y < eaves)
    slope = float(rng.uniform(0.5, 0.75))
    gable = bool(rng.random() < 0.5)
    front |= gable & (canvas.y >= eaves) & (canvas.y < eaves + (half - np.abs(canvas.x - x)) * slope)
    canvas.paint(front, Label.WALL, _wall(canvas, rng, noise, wall), np.array([0, 0, 1], np.float32), 5.0)
    _roof(canvas, rng, noise, roof, (x, half, eaves, slope), gable)
    _openings(canvas, rng, x, half, ground, eaves, time == "night")
    phrase = f"a {wall} house with a {roof} roof"
    return canvas, Facts("house", phrase, (str(rng.choice(sky.PHRASES[time])),), (wall, roof, time))


def _wall(canvas: Canvas, rng: np.random.Generator, noise: Noise, kind: str) -> np.ndarray:
    grain = noise.fbm(canvas.side, 24, 0.85)[..., None]
    if kind == "red brick":
        inside, index = brick_pattern(canvas.x + 3, canvas.y + 3, 0.11, 0.045, 0.008)
        face = srgb(150, 66, 48) * draw_of(np.exp(rng.normal(0, 0.2, 499)), index)[..., None]
        return np.clip(np.where((inside > 0)[..., None], face, srgb(176, 166, 154)) * (1 + 0.06 * grain), 0, 1)
    if kind == "wooden":
        board = (canvas.y + 3) / 0.075
        tone = draw_of(np.exp(rng.normal(0, 0.15, 97)), np.floor(board).astype(int)) * smooth(0.0, 0.22, board % 1)
        return np.clip(srgb(150, 104, 66) * (tone[..., None] + 0.06) * (1 + 0.1 * grain), 0, 1)
    rgb = {"white": (232, 230, 224), "yellow": (236, 204, 120), "blue": (116, 156, 196)}[kind]
    return np.clip(srgb(*rgb) * (1 + 0.05 * grain), 0, 1)


def _roof(
    canvas: Canvas,
    rng: np.random.Generator,
    noise: Noise,
    kind: str,
    shape: tuple[float, float, float, float],
    gable: bool,
) -> None:
    """Tiles on a gable seen from its end, or on a slope seen from its side."""
    x, half, eaves, slope = shape
    away = np.abs(canvas.x - x)
    over = half + 0.08
    line = eaves + (over - away) * slope
    if gable:
        mask = (canvas.y < line + 0.06) & (canvas.y > line - 0.03) & (away < over) & (canvas.y > eaves - 0.06)
    else:
        mask = (
            (canvas.y >= eaves - 0.03)
            & (canvas.y < eaves + half * slope * 0.95)
            & (away < over - (canvas.y - eaves) * 0.35)
        )
    rgb = {"red": (172, 72, 48), "grey": (96, 100, 108), "brown": (104, 72, 52)}[kind]
    inside, index = brick_pattern(canvas.x + 3, canvas.y + 3, 0.075, 0.06, 0.012)
    tone = draw_of(np.exp(rng.normal(0, 0.16, 499)), index) * (0.4 + 0.6 * smooth(-0.004, 0.012, inside))
    albedo = srgb(*rgb) * (tone * (1 + 0.08 * noise.fbm(canvas.side, 24, 0.85)))[..., None]
    chimney = (
        (np.abs(canvas.x - x - half * 0.55) < 0.06)
        & (canvas.y > eaves)
        & (canvas.y < eaves + half * slope + 0.1)
        & ~mask
    )
    canvas.paint(chimney & (canvas.y > line - 0.1), Label.WALL, srgb(140, 84, 66), np.array([0, 0, 1], np.float32), 5.2)
    canvas.paint(mask, Label.ROOF, np.clip(albedo, 0, 1), UP, 4.9)


def _openings(
    canvas: Canvas, rng: np.random.Generator, x: float, half: float, ground: float, eaves: float, night: bool
) -> None:
    """A door and windows with frames, crossbars and a reflection of the sky."""
    facing = np.array([0, 0, 1], np.float32)
    door_x = x + float(rng.choice([-0.5, 0.0, 0.5])) * half
    door = (np.abs(canvas.x - door_x) < 0.085) & (canvas.y > ground) & (canvas.y < ground + 0.38)
    frame = (np.abs(canvas.x - door_x) < 0.1) & (canvas.y > ground) & (canvas.y < ground + 0.4)
    rgb = ((112, 40, 36), (50, 74, 58), (84, 58, 40), (44, 60, 96))[int(rng.integers(4))]
    panel = 0.8 + 0.2 * (np.abs((canvas.y - ground) % 0.19 - 0.095) < 0.06)
    canvas.paint(frame, Label.DOOR, srgb(236, 234, 228), facing, 4.97)
    canvas.paint(door, Label.DOOR, srgb(*rgb) * panel[..., None], facing, 5.0)
    glow = srgb(255, 206, 120) * 0.9 if night else np.zeros(3, np.float32)
    for place in (-0.5, 0.0, 0.5):
        at = x + place * half
        if abs(at - door_x) < 0.15:
            continue
        dx, dy = np.abs(canvas.x - at), np.abs(canvas.y - (ground + (eaves - ground) * 0.58))
        rim = (dx < 0.125) & (dy < 0.155)
        pane = (dx < 0.1) & (dy < 0.13) & (dx > 0.01) & (dy > 0.01)
        sheen = mix(srgb(38, 50, 64), srgb(150, 180, 206), smooth(-0.3, 0.5, np.sin(canvas.x * 9 + canvas.y * 11)))
        canvas.paint(rim, Label.WINDOW, srgb(240, 238, 232), facing, 4.97)
        canvas.paint(pane, Label.WINDOW, sheen, facing, 5.02, np.broadcast_to(glow, (*dx.shape, 3)))


def _garden(canvas: Canvas, rng: np.random.Generator, noise: Noise, ground: float) -> None:
    """A lawn with bushes to the left and right of the house."""
    tone = mix(srgb(60, 96, 34), srgb(112, 142, 56), smooth(-1, 1, noise.fbm(canvas.side, (24, 12), 0.85)))
    canvas.paint(canvas.y < ground + 0.06, Label.GRASS, tone, UP, 5.0)
    count = 420
    root = np.stack([rng.uniform(-1.05, 1.05, count), np.sort(rng.uniform(-1.1, ground + 0.06, count))[::-1]], 1)
    tip = root + np.stack([rng.normal(0, 0.02, count), rng.uniform(0.04, 0.1, count)], 1)
    blades(
        canvas,
        root,
        tip,
        np.zeros(count),
        np.full(count, 0.018),
        varied(rng, srgb(92, 132, 46), count, 0.25),
        4.5,
    )
    count = 420
    side_x = rng.choice([-0.85, 0.85], count) + rng.normal(0, 0.13, count)
    spot = np.stack([side_x, ground + 0.06 + np.abs(rng.normal(0, 0.2, count))], 1)
    tilt = unit(np.stack([rng.normal(0, 0.5, count), rng.normal(0.3, 0.5, count), np.ones(count)], 1)).astype(
        np.float32
    )
    leaves(
        canvas,
        spot,
        rng.uniform(0.03, 0.06, count),
        rng.uniform(0, 6.3, count),
        tilt,
        varied(rng, srgb(50, 92, 40), count, 0.3),
        6.0,
        0.6,
    )
