"""Sea, sunsets over sea or hills, and clouds."""

from __future__ import annotations

import numpy as np

from tools.embedded.render import sky
from tools.embedded.render.canvas import Canvas, Facts, Label, mix, smooth, srgb, unit
from tools.embedded.render.noise import Noise, look_up
from tools.embedded.render.terrain import look, make_relief


def _paint_sea(canvas: Canvas, noise: Noise, horizon_y: float, rough: float, deep: np.ndarray) -> np.ndarray:
    """Paint a sea of height-field waves that mirror the sky; returns where."""
    side = 256
    swell = noise.fbm(side, (10, 3), 0.55, periodic=True)
    crest = 1 - np.abs(noise.fbm(side, (8, 2), 0.5, periodic=True))
    height = np.clip(0.5 + 0.22 * crest + 0.12 * swell, 0, 1.3)
    relief = make_relief(height, 5.0, 0.42 * rough, canvas.light.toward, noise.fbm(side, 12, 0.7, periodic=True))
    view = look(canvas, relief, 0.6, horizon_y, 0.35, 40.0)
    flat = smooth(30.0, 1.5, view.depth)[..., None]
    fine = look_up(relief.tile_TTC[..., 1:4], view.world_x * 0.9, view.depth * 0.9)
    normal = unit(view.normal * flat + 0.6 * fine * flat * rough + np.array([0, 1, 0], np.float32) * (1.02 - flat))
    facing = np.clip(normal[..., 2] + 0.25 * normal[..., 1], 0, 1)
    fresnel = np.clip(0.9 - 1.5 * facing, 0.06, 0.95)
    mirrored = mix(canvas.light.horizon, canvas.light.zenith, np.clip(normal[..., 2] * 1.5 + 0.15, 0, 1))
    body = deep * (canvas.light.ambient * 1.3 + canvas.light.sun * (0.35 + 0.5 * view.height)[..., None])
    light = mix(body, mirrored, fresnel)
    half = unit(canvas.light.toward * np.array([1, 1, -1], np.float32) + np.array([0, 0, 1], np.float32))
    sparkle = np.clip(normal @ half, 0, 1) ** 60
    foam = (
        smooth(0.86, 1.0, view.height + 0.05 * view.spare)
        * smooth(0.45, 1.0, np.array(rough, np.float32))
        * flat[..., 0]
    )
    light = mix(light, canvas.light.ambient + canvas.light.sun * 0.45, foam * 0.9)
    light += sparkle[..., None] * canvas.light.sun * 0.8
    canvas.paint(view.hit, Label.WATER, deep, normal, view.depth, light.astype(np.float32), 0.0)
    canvas.albedo[view.hit] = 0.0
    return view.hit


def sea(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """Open water to the horizon."""
    time = str(rng.choice(["day", "sunset", "dawn", "grey", "night"]))
    state = str(rng.choice(["calm", "rough"]))
    colour = str(rng.choice(["blue", "green", "turquoise"]))
    deep = {"blue": (16, 62, 128), "green": (20, 84, 70), "turquoise": (30, 150, 160)}[colour]
    canvas = Canvas(side, sky.light(time, rng, fog=0.012))
    horizon = float(rng.uniform(0.2, 0.62))
    sky.paint_sky(canvas, noise, horizon, time, float(rng.choice([0.0, 0.4])))
    _paint_sea(canvas, noise, horizon, 1.0 if state == "rough" else 0.28, srgb(*deep))
    phrase = f"a {state} {colour} sea"
    extra = ("with white waves",) if state == "rough" else ("with a clear horizon",)
    return canvas, Facts("sea", phrase, (str(rng.choice(sky.PHRASES[time])), *extra), (state, colour, time))


def sunset(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """A low sun with lit clouds over the sea or dark hills."""
    tone = str(rng.choice(["orange", "red", "purple", "golden"]))
    over = str(rng.choice(["the sea", "dark hills"]))
    zenith, horizon_rgb, sun = {
        "orange": ((70, 80, 140), (255, 150, 60), (2.6, 1.1, 0.3)),
        "red": ((60, 40, 80), (240, 84, 48), (2.6, 0.6, 0.25)),
        "purple": ((58, 40, 110), (236, 120, 150), (2.2, 0.8, 0.9)),
        "golden": ((120, 130, 150), (255, 206, 110), (2.6, 1.6, 0.6)),
    }[tone]
    base = sky.light("sunset", rng)
    x, y = float(rng.uniform(-0.6, 0.6)), float(rng.uniform(0.02, 0.22))
    horizon = float(rng.uniform(-0.35, 0.0))
    toward = unit(np.array([x, y + 0.12, -0.9], np.float32))
    light = type(base)(toward, np.array(sun, np.float32), base.ambient * 0.5, srgb(*zenith), srgb(*horizon_rgb), 0.02)
    canvas = Canvas(side, light)
    sky.paint_gradient(canvas, horizon, glow=0.0)
    sky.paint_clouds(canvas, noise, horizon, float(rng.uniform(0.35, 0.6)), 0.45)
    distance = np.hypot(canvas.x - x, canvas.y - horizon - y)
    canvas.emission += np.exp(-2.6 * distance)[..., None] * light.sun * 0.35
    disc = smooth(0.115, 0.1, distance)
    canvas.emission[:] = mix(canvas.emission, light.sun * 0.4 + 0.75, disc)
    if over == "the sea":
        _paint_sea(canvas, noise, horizon, 0.35, srgb(24, 32, 60))
        width = 0.06 + 0.16 * (horizon - canvas.y)
        path = np.exp(-np.square((canvas.x - x) / np.maximum(width, 0.02)))
        glint = smooth(-0.2, 1.0, noise.fbm(side, (48, 10), 0.8)) * path * (canvas.label == Label.WATER)
        canvas.emission += glint[..., None] * light.sun * 0.75
    else:
        relief = make_relief(
            noise.ridged(256, 3, 0.5, True) * 0.8, 5.0, 1.0, light.toward, noise.fbm(256, 8, periodic=True)
        )
        view = look(canvas, relief, 0.9, horizon, 0.6, 12.0, (1.0, 5.0), tuple(rng.random(2)))
        canvas.paint(view.hit, Label.GROUND, srgb(52, 46, 40), view.normal, view.depth, None, view.open)
    return canvas, Facts(
        "sunset", f"{'an' if tone == 'orange' else 'a'} {tone} sunset", (f"over {over}",), (tone, over)
    )


def _moved(field: np.ndarray, down: int, right: int) -> np.ndarray:
    """Shift a field; the edges repeat their last values."""
    rows = np.clip(np.arange(len(field)) - down, 0, len(field) - 1)
    columns = np.clip(np.arange(len(field)) - right, 0, len(field) - 1)
    return field[rows][:, columns]


def clouds(rng: np.random.Generator, noise: Noise, side: int) -> tuple[Canvas, Facts]:
    """Cumulus, storm clouds, wisps or a lit evening sky, looked at from below."""
    kind = str(rng.choice(["white", "dark storm", "pink evening", "thin"]))
    time = {"white": "day", "dark storm": "grey", "pink evening": "dawn", "thin": "day"}[kind]
    canvas = Canvas(side, sky.light(time, rng))
    sky.paint_gradient(canvas, -1.2)
    if kind == "dark storm":
        canvas.emission *= 0.6
    stretch = (2, 7) if kind == "thin" else (3, 3)
    dense = noise.fbm(side, (stretch[1], stretch[0]) if kind == "thin" else stretch, 0.56)
    billow = noise.fbm(side, 5, 0.55)
    dense = dense + (0.0 if kind == "thin" else 0.5) * (0.8 - np.abs(billow))
    shift = max(side // 40, 1)
    lit = dense - _moved(dense, shift, int(-np.sign(canvas.light.toward[0])) * shift)
    cover = float(rng.choice([-0.15, 0.25])) if kind != "dark storm" else -0.9
    thick = smooth(cover, cover + (1.7 if kind == "thin" else 1.15), dense)
    top = {
        "white": srgb(255, 255, 255),
        "dark storm": srgb(150, 156, 166),
        "pink evening": srgb(255, 190, 170),
        "thin": srgb(250, 250, 252),
    }[kind]
    under = {
        "white": srgb(140, 152, 172),
        "dark storm": srgb(62, 68, 80),
        "pink evening": srgb(128, 92, 130),
        "thin": srgb(210, 220, 232),
    }[kind]
    shade = smooth(-0.65, 0.65, lit * 1.3 - 0.25 * (dense - cover) + 0.25)
    if kind == "dark storm":
        heavy = noise.fbm(side, (5, 3), 0.52)
        thick, shade = (
            np.ones_like(dense),
            smooth(-4.5, 4.5, heavy + 1.5 * (heavy - _moved(heavy, 2 * shift, 0))),
        )
    canvas.emission[:] = mix(canvas.emission, mix(under, top, shade), thick)
    canvas.label[thick > 0.5] = int(Label.CLOUD)
    cover_phrase = ("covering most of the sky",) if cover < 0 else ("with open sky between them",)
    phrase = f"{kind} clouds" + (" in a blue sky" if time == "day" else "")
    return canvas, Facts("clouds", phrase, cover_phrase, (kind, cover_phrase[0]))
