"""Terrain: mountains, desert dunes, canyons, and lakes that mirror mountains."""

from __future__ import annotations

import numpy as np

from tools.embedded.render import sky
from tools.embedded.render.canvas import Canvas, Facts, Label, mix, smooth, srgb
from tools.embedded.render.noise import Noise, look_up
from tools.embedded.render.terrain import Relief, View, look, make_relief, plane


def _detail(relief: Relief, view: View, scale: float = 1.0) -> np.ndarray:
    """Fine noise for the near ground, where the relief's own tile is too coarse; fades with distance."""
    x, z = view.world_x * scale, view.depth * scale
    near = look_up(relief.tile_TTC[..., 5], x * 0.83 + z * 0.21, z * 0.83 - x * 0.21)
    near = 0.7 * near + 0.7 * look_up(relief.tile_TTC[..., 5], z * 0.31 + x * 0.17, x * 0.31 - z * 0.17)
    return np.clip(near, -1.6, 1.6) * smooth(9.0, 1.5, view.depth)


def _paint_mountains(canvas: Canvas, noise: Noise, rng: np.random.Generator, kind: str, horizon_y: float) -> View:
    """Paint ridges behind a valley; kind: "snowy", "rocky", "green" or "autumn"."""
    ridges = noise.ridged(256, 3, gain=0.44, periodic=True)
    height = np.clip(ridges * 0.8 + 0.14 * noise.fbm(256, 2, periodic=True) + 0.1, 0, 1.6)
    relief = make_relief(height, 13.0, 4.6, canvas.light.toward, noise.fbm(256, 8, 0.75, periodic=True))
    view = look(canvas, relief, 0.5, horizon_y, 0.5, 16.0, (1.2, 5.0), tuple(rng.random(2)))
    fine = look_up(relief.tile_TTC[..., 5], view.world_x * 0.8, view.depth * 0.8 + view.height * 1.5)
    rock = mix(srgb(92, 84, 78), srgb(150, 138, 126), smooth(-1, 1, view.spare + 0.7 * fine))
    steep = view.normal[..., 1] + 0.07 * fine
    low = {"green": ((58, 92, 40), (96, 120, 52)), "autumn": ((150, 84, 30), (176, 132, 46))}
    dark, pale = low.get(kind, ((84, 92, 62), (122, 116, 84)))
    plants = mix(srgb(*dark), srgb(*pale), smooth(-1, 1, fine))
    plants = plants * (1 + 0.22 * _detail(relief, view))[..., None]
    rock = rock * (1 + 0.16 * _detail(relief, view, 2.0))[..., None]
    line = 0.85 if kind in ("green", "autumn") else 0.22
    albedo = mix(rock, plants, smooth(0.5, 0.68, steep) * (1 - smooth(line, line + 0.3, view.height)))
    snow = np.zeros_like(steep)
    if kind == "snowy":
        snow = smooth(0.28, 0.46, view.height + 0.06 * view.spare) * smooth(0.42, 0.58, steep)
        albedo = mix(albedo, srgb(226, 230, 238), snow)
    canvas.paint(view.hit, Label.ROCK, albedo, view.normal, view.depth, None, view.open)
    canvas.label[view.hit & (snow > 0.5)] = int(Label.SNOW)
    return view


def mountains(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """Fractal ridges behind a valley."""
    time = str(rng.choice(["day", "sunset", "dawn", "grey"]))
    kind = str(rng.choice(["snowy", "rocky", "green", "autumn"]))
    haze = rng.random() < 0.35
    canvas = Canvas(side, sky.light(time, rng, fog=0.16 if haze else 0.045))
    horizon = float(rng.uniform(-0.42, -0.15))
    sky.paint_sky(canvas, noise, horizon, time, float(rng.choice([0.0, 0.3, 0.5])))
    _paint_mountains(canvas, noise, rng, kind, horizon)
    details = (str(rng.choice(sky.PHRASES[time])), *(("in mist",) if haze else ()))
    return canvas, Facts("mountains", f"{kind} mountains", details, (kind, time))


def dunes(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """Sand dunes with sharp crests and wind ripples."""
    time = str(rng.choice(["day", "sunset", "dawn", "night"]))
    colour = str(rng.choice(["golden", "red", "white"]))
    base = {"golden": (214, 166, 102), "red": (196, 104, 58), "white": (204, 196, 182)}[colour]
    canvas = Canvas(side, sky.light(time, rng, fog=0.02))
    horizon = float(rng.uniform(-0.05, 0.3))
    sky.paint_sky(canvas, noise, horizon, time, float(rng.choice([0.0, 0.0, 0.3])))
    crest = np.maximum(1 - np.abs(noise.fbm(256, (4, 3), 0.2, 2, periodic=True)) * 0.8, 0) ** 1.3
    height = crest * 0.8 + 0.14 * noise.fbm(256, 2, 0.3, 1, periodic=True) + 0.1
    grain = noise.fbm(256, 16, 0.8, periodic=True)
    relief = make_relief(height, 16.0, 2.7, canvas.light.toward, grain)
    view = look(canvas, relief, 0.9, horizon, 0.7, 34.0, None, tuple(rng.random(2)))
    warp = look_up(relief.tile_TTC[..., 0], view.world_x * 0.4, view.depth * 0.4) * 0.5
    phase = (view.depth * 1.0 + view.world_x * 0.35) * 34 + warp * 26
    fade = smooth(5.0, 1.2, view.depth)
    ripple = np.cos(phase) * 0.3 * fade
    normal = view.normal.copy()
    normal[..., 2] += ripple
    normal[..., 0] += ripple * 0.4
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    fine = look_up(grain, view.world_x * 1.3, view.depth * 1.3)
    albedo = srgb(*base) * (1 + 0.025 * view.spare + 0.05 * fine)[..., None]
    canvas.paint(view.hit, Label.SAND, np.clip(albedo, 0, 1), normal, view.depth, None, view.open)
    phrase = str(rng.choice([f"{colour} sand dunes", f"a desert with {colour} sand dunes"]))
    return canvas, Facts("dunes", phrase, (str(rng.choice(sky.PHRASES[time])),), (colour, time))


def canyon(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """Layered mesas: a terraced relief with strata."""
    time = str(rng.choice(["day", "sunset", "grey"]))
    colour = str(rng.choice(["red", "orange", "brown", "pale"]))
    tones = {
        "red": ((168, 70, 46), (206, 120, 84)),
        "orange": ((204, 112, 50), (232, 170, 104)),
        "brown": ((118, 78, 56), (168, 130, 98)),
        "pale": ((186, 164, 138), (222, 206, 180)),
    }[colour]
    canvas = Canvas(side, sky.light(time, rng, fog=0.03))
    horizon = float(rng.uniform(-0.25, 0.1))
    sky.paint_sky(canvas, noise, horizon, time, float(rng.choice([0.0, 0.35])))
    base = noise.fbm(256, 3, 0.5, periodic=True)
    steps = sum(smooth(at, at + 0.16, base) for at in (-0.55, 0.05, 0.6))
    height = np.clip(steps * 0.3 + 0.03 * noise.fbm(256, 16, 0.6, periodic=True) + 0.04 * base, 0, 2)
    grain = noise.fbm(256, 8, 0.78, periodic=True)
    relief = make_relief(height, 15.0, 3.2, canvas.light.toward, grain)
    view = look(canvas, relief, 0.6, horizon, 0.5, 30.0, (2.2, 6.0), tuple(rng.random(2)))
    fine = look_up(grain, view.world_x * 0.7, view.depth * 0.7 + view.height * 2)
    strata = np.sin(view.height * 50 + 0.7 * fine) + 0.7 * np.sin(view.height * 117 + 1.3 + fine)
    wall = mix(srgb(*tones[0]), srgb(*tones[1]), smooth(-1.2, 1.2, strata + 0.5 * fine))
    flat = mix(srgb(*tones[1]) * 0.85, srgb(128, 122, 74), smooth(0.6, 2.0, fine) * 0.4)
    flat = flat * (1 + 0.14 * _detail(relief, view))[..., None]
    wall = wall * (1 + 0.16 * _detail(relief, view, 1.5))[..., None]
    albedo = mix(wall, flat, smooth(0.75, 0.92, view.normal[..., 1]))
    canvas.paint(view.hit, Label.ROCK, albedo, view.normal, view.depth, None, view.open)
    phrase = f"a {colour} rock canyon"
    return canvas, Facts("canyon", phrase, (str(rng.choice(sky.PHRASES[time])),), (colour, time))


def lake(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """Mountains mirrored in rippled water."""
    time = str(rng.choice(["day", "sunset", "dawn", "grey"]))
    kind = str(rng.choice(["snowy", "rocky", "green", "autumn"]))
    canvas = Canvas(side, sky.light(time, rng, fog=0.05))
    shore = float(rng.uniform(-0.15, 0.1))
    sky.paint_sky(canvas, noise, shore, time, float(rng.choice([0.0, 0.35, 0.5])))
    _paint_mountains(canvas, noise, rng, kind, shore - 0.02)
    mirror = canvas.shade()
    water, depth, across = plane(canvas, 0.45, shore)
    ripples = noise.fbm(256, (8, 4), 0.6, periodic=True)
    wave = look_up(ripples, across * 0.5, depth * 0.9)
    push = wave * (0.018 + 0.02 * smooth(0.0, 1.0, shore - canvas.y))
    row = np.clip(((1 - (2 * shore - canvas.y + push)) / 2 * side).astype(int), 0, side - 1)
    column = np.clip(np.arange(side)[None] + (wave * 2).astype(int), 0, side - 1)
    deep = srgb(20, 52, 66)
    fresnel = np.clip(0.88 - 0.5 * (shore - canvas.y), 0.3, 0.9) + 0.05 * wave
    seen = mix(deep * (canvas.light.ambient + canvas.light.sun * 0.3), mirror[row, column], fresnel)
    up = np.array([0.0, 1.0, 0.0], np.float32)
    canvas.paint(water, Label.WATER, deep * 0, up, depth.astype(np.float32), seen.astype(np.float32))
    canvas.depth[water] = np.minimum(canvas.depth[water], 16.0)
    phrase = f"a lake with {kind} mountains"
    details = (
        str(rng.choice(sky.PHRASES[time])),
        *(("with reflections in the water",) if rng.random() < 0.4 else ()),
    )
    return canvas, Facts("lake", phrase, details, (kind, time))
