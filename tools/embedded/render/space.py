"""Night skies and what floats in them: stars, moon, nebulae, planets."""

from __future__ import annotations

import numpy as np

from tools.embedded.render import sky
from tools.embedded.render.canvas import Canvas, Facts, Label, Light, mix, smooth, srgb, unit
from tools.embedded.render.noise import Cells, Noise
from tools.embedded.render.terrain import look, make_relief


def _dark(rng: np.random.Generator, toward: tuple[float, float, float] = (0.6, 0.5, 0.6)) -> Light:
    black = np.full(3, 0.002, np.float32)
    sun = np.array([1.7, 1.65, 1.55], np.float32)
    return Light(unit(np.array(toward, np.float32)), sun, np.full(3, 0.001, np.float32), black, black)


def night(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """A starry sky with the milky way or an aurora over dark land."""
    kind = str(rng.choice(["milky way", "aurora", "stars"]))
    tone = str(rng.choice(["blue", "purple", "black"]))
    canvas = Canvas(side, sky.light("night", rng))
    low = {"blue": (24, 46, 92), "purple": (64, 34, 84), "black": (14, 16, 24)}[tone]
    canvas.emission[:] = mix(srgb(*low), srgb(*(c // 4 for c in low)), smooth(-0.6, 1.0, canvas.y))
    if kind == "milky way":
        slope, offset = rng.uniform(0.5, 1.6) * rng.choice([-1, 1]), rng.uniform(-0.3, 0.3)
        away = (canvas.x - slope * (canvas.y - 0.2) * 0.7 - offset) / np.hypot(1, slope * 0.7)
        cloud = noise.fbm(side, 3, 0.62)
        band = np.exp(-np.square((away + 0.1 * cloud) / 0.3)) * smooth(-1.6, 1.4, cloud)
        dust = smooth(0.2, 1.2, noise.fbm(side, 4, 0.66)) * np.exp(-np.square((away + 0.08 * cloud) / 0.12))
        canvas.emission += (band * (1 - 0.85 * dust))[..., None] * (srgb(*low) * 1.3 + srgb(150, 140, 150) * 0.5)
        sky.paint_stars(canvas, noise.rng(), 420, 0.5)
    elif kind == "aurora":
        fold = noise.fbm(side, (1, 3), 0.5, 4)[side // 2]
        edge = -0.1 + 0.22 * fold[None] + 0.1
        rays = 0.55 + 0.45 * noise.fbm(side, (1, 28), 0.7)
        above = canvas.y - edge
        curtain = smooth(-0.05, 0.06, above) * np.exp(-np.maximum(above, 0) * 2.0) * np.clip(rays, 0.05, 2)
        canvas.emission += (
            mix(srgb(60, 240, 140), srgb(150, 70, 220), smooth(0.0, 0.9, above)) * curtain[..., None] * 0.8
        )
    sky.paint_stars(canvas, noise.rng(), 260)
    relief = make_relief(
        noise.ridged(256, 4, 0.5, True) * 0.8, 6.0, 0.9, canvas.light.toward, noise.fbm(256, 8, periodic=True)
    )
    view = look(canvas, relief, 0.8, float(rng.uniform(-0.75, -0.45)), 0.6, 12.0, (1.0, 5.0))
    canvas.paint(view.hit, Label.GROUND, srgb(46, 48, 56), view.normal, view.depth, None, view.open)
    phrase = {"milky way": "the milky way", "aurora": "a green aurora", "stars": "stars"}[kind]
    article = f"in a {tone} night sky"
    return canvas, Facts("night sky", f"{phrase} {article}", ("over dark hills",), (kind, tone))


def _ball(canvas: Canvas, x: float, y: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Mask and normals of a sphere."""
    dx, dy = (canvas.x - x) / radius, (canvas.y - y) / radius
    squared = dx * dx + dy * dy
    normal = np.stack([dx, dy, np.sqrt(np.maximum(1 - squared, 0))], -1)
    return squared < 1, normal.astype(np.float32)


def moon(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """A cratered moon in one of its phases."""
    phase = str(rng.choice(["full", "half", "crescent"]))
    tone = str(rng.choice(["grey", "orange", "blue"]))
    toward = {"full": (0.25, 0.2, 0.95), "half": (0.95, 0.15, 0.05), "crescent": (0.8, 0.1, -0.62)}[phase]
    flip = rng.choice([-1.0, 1.0])
    canvas = Canvas(side, _dark(rng, (toward[0] * flip, toward[1], toward[2])))
    sky.paint_stars(canvas, noise.rng(), 110, 0.7)
    radius = float(rng.uniform(0.55, 0.85))
    x, y = rng.uniform(-0.12, 0.12, 2)
    mask, ball = _ball(canvas, x, y, radius)
    u, v = np.arctan2(ball[..., 0], ball[..., 2] + 0.35) * 1.6, np.arcsin(np.clip(ball[..., 1], -1, 1)) * 1.6
    height = 0.16 * noise.fbm(side, 6, 0.7)
    for frequency, depth in ((1.7, 0.9), (3.6, 0.5), (7.5, 0.28)):
        cells = Cells(noise.rng(), u * frequency + 9, v * frequency + 9)
        size = 0.12 + 0.3 * ((cells.pick * 7919) % 101) / 101
        r = cells.f1 / size
        height += depth / frequency * (np.exp(-np.square((r - 1) / 0.22)) * 0.6 - smooth(1.05, 0.55, r))
    down, right = np.gradient(height, 2.0 / side)
    normal = unit(ball + np.stack([-right, down, 0 * right], -1) * 0.11)
    seas = smooth(0.1, 1.0, noise.fbm(side, 3, 0.5))
    rgb = {"grey": (212, 210, 204), "orange": (236, 150, 84), "blue": (156, 186, 232)}[tone]
    albedo = srgb(*rgb) * (0.95 - 0.5 * seas + 0.06 * noise.fbm(side, 16, 0.8))[..., None]
    day = smooth(-0.03, 0.1, ball @ canvas.light.toward)
    canvas.paint(mask, Label.MOON, np.clip(albedo, 0.01, 1), normal, 1.0 - 0.3 * ball[..., 2], None, day)
    return canvas, Facts("moon", f"a {phase} {tone} moon", ("in a black sky with stars",), (phase, tone))


def nebula(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """Glowing gas with dark dust and stars."""
    tone = str(rng.choice(["red", "blue", "green", "purple", "golden"]))
    shape = str(rng.choice(["round", "wide"]))
    first, second = {
        "red": ((230, 50, 50), (250, 150, 120)),
        "blue": ((40, 90, 230), (130, 210, 250)),
        "green": ((30, 170, 100), (160, 240, 170)),
        "purple": ((130, 50, 200), (240, 120, 220)),
        "golden": ((210, 130, 40), (255, 220, 140)),
    }[tone]
    canvas = Canvas(side, _dark(rng))
    warp = noise.fbm(side, 3, 0.5)
    gas, wisps = noise.fbm(side, 3, 0.6), noise.ridged(side, 3, 0.55)
    x, y = canvas.x + 0.22 * warp - rng.uniform(-0.2, 0.2), canvas.y + 0.2 * gas - rng.uniform(-0.2, 0.2)
    if shape == "round":
        body = np.exp(-np.square(np.hypot(x, y) / 0.55))
        body *= 0.45 + 0.8 * smooth(0.15, 0.5, np.hypot(x, y))
    else:
        turn = rng.uniform(-0.5, 0.5)
        body = np.exp(-np.square((y * np.cos(turn) + x * np.sin(turn)) / 0.42))
    dust = smooth(0.0, 1.3, noise.fbm(side, 4, 0.66))
    dense = body * (0.25 + 0.5 * smooth(-1.2, 1.4, gas) + 0.75 * wisps**1.5) * (1 - 0.8 * dust)
    glow = mix(srgb(*first), srgb(*second), smooth(0.25, 0.9, dense))
    canvas.emission[:] = srgb(8, 8, 16) + glow * (dense * 1.25)[..., None]
    canvas.label[dense > 0.25] = int(Label.NEBULA)
    kept = canvas.label.copy()
    canvas.label[:] = int(Label.SKY)
    sky.paint_stars(canvas, noise.rng(), 220, 0.8)
    canvas.label[:] = kept
    phrase = f"a {shape} {tone} nebula"
    return canvas, Facts("nebula", phrase, ("with stars",) if rng.random() < 0.4 else ("in deep space",), (shape, tone))


def planet(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """A gas giant, with or without rings, or an ocean world."""
    kind = str(rng.choice(["ringed", "banded", "ocean"]))
    tone = str(rng.choice(["orange", "blue", "green"])) if kind != "ocean" else "blue"
    canvas = Canvas(side, _dark(rng, (rng.choice([-0.8, 0.8]), 0.4, rng.uniform(0.3, 0.7))))
    sky.paint_stars(canvas, noise.rng(), 150, 0.7)
    radius = float(rng.uniform(0.6, 0.8)) * (0.68 if kind == "ringed" else 1.0)
    mask, ball = _ball(canvas, 0.0, 0.0, radius)
    tilt = rng.uniform(-0.5, 0.5)
    across = ball[..., 1] * np.cos(tilt) + ball[..., 0] * np.sin(tilt)
    flow = noise.fbm(side, (9, 3), 0.62)
    if kind == "ocean":
        albedo = _continents(noise, across)
    else:
        dark, pale = {
            "orange": ((166, 96, 52), (240, 214, 172)),
            "blue": ((44, 84, 168), (176, 210, 240)),
            "green": ((58, 120, 92), (196, 226, 190)),
        }[tone]
        bands = np.sin(across * 17 + flow * 0.55) + 0.6 * np.sin(across * 41 + flow * 0.9)
        albedo = mix(srgb(*dark), srgb(*pale), smooth(-1.3, 1.3, bands + 0.25 * flow))
    canvas.paint(mask, Label.PLANET, albedo, ball, 1.0 - 0.3 * ball[..., 2])
    if kind == "ringed":
        _ring(canvas, noise, tilt, radius, mask & (across > 0), tone)
    name = {
        "ringed": f"a {tone} planet with rings",
        "banded": f"a banded {tone} planet",
        "ocean": "a blue ocean planet with clouds",
    }
    details = ("in space",) if rng.random() < 0.5 else ("with stars behind it",)
    return canvas, Facts("planet", name[kind], details, (kind, tone))


def _continents(noise: Noise, across: np.ndarray) -> np.ndarray:
    """Albedo of an ocean world: land, sea, and clouds that thicken to the poles."""
    land = noise.fbm(len(across), 3, 0.58)
    soil = mix(srgb(60, 110, 50), srgb(170, 140, 90), smooth(0.3, 1.2, land))
    surface = mix(srgb(16, 60, 140), soil, smooth(0.2, 0.45, land))
    cloud = smooth(0.1, 2.0, noise.fbm(len(across), 5, 0.72) + 0.5 * np.abs(across))
    return mix(surface, srgb(250, 250, 252), 0.95 * cloud)


def _ring(canvas: Canvas, noise: Noise, tilt: float, radius: float, hidden: np.ndarray, tone: str) -> None:
    cos, sin = np.cos(tilt), np.sin(tilt)
    along, up = canvas.x * cos - canvas.y * sin, canvas.x * sin + canvas.y * cos
    distance = np.hypot(along, up / 0.28) / radius
    profile = np.interp(distance, np.linspace(1.25, 2.3, 128), 0.5 + 0.28 * noise.fbm(256, 8, 0.8)[0, :128])
    ring = (distance > 1.25) & (distance < 2.3) & ~hidden & (profile > 0.28)
    rgb = {"orange": (232, 206, 164), "blue": (190, 206, 226), "green": (206, 220, 190)}[tone]
    canvas.paint(ring, Label.PLANET, srgb(*rgb) * np.clip(profile, 0, 1)[..., None], canvas.light.toward, 1.0)
