"""A canvas is a set of exact layers (albedo, normals, depth, labels, emission) and the light that shades
them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

SUPERSAMPLING = 2
"""Samples a pixel on each axis."""


class Label(IntEnum):
    """Classes of the segmentation."""

    SKY = 0
    CLOUD = 1
    GROUND = 2
    ROCK = 3
    SNOW = 4
    SAND = 5
    WATER = 6
    GRASS = 7
    FOLIAGE = 8
    TRUNK = 9
    FLOWER = 10
    WALL = 11
    ROOF = 12
    WINDOW = 13
    DOOR = 14
    BRICK = 15
    MORTAR = 16
    WOOD = 17
    STONE = 18
    FRUIT = 19
    BALLOON = 20
    MOON = 21
    PLANET = 22
    STAR = 23
    NEBULA = 24
    TABLE = 25


def srgb(red: float, green: float, blue: float) -> np.ndarray:
    """Linear light (3,) of a display colour 0..255."""
    return (np.array([red, green, blue], np.float32) / 255.0) ** 2.2


def smooth(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """Smoothstep from 0 at low to 1 at high."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def mix(a: np.ndarray, b: np.ndarray, t_HW: np.ndarray) -> np.ndarray:
    """Blend colours a and b, (3,) or (H, W, 3), by t (H, W)."""
    return a + (b - a) * t_HW[..., None]


def unit(vector: np.ndarray) -> np.ndarray:
    """Scale vectors along the last axis to length 1."""
    return vector / np.maximum(np.sqrt((vector * vector).sum(-1, keepdims=True)), 1e-6)


def bump(height_HW: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Unit normals (H, W, 3) of a height over the picture plane; the picture is 2 units wide."""
    step = 2.0 / height_HW.shape[0]
    down, right = np.gradient(height_HW, step)
    return unit(np.stack([-right * strength, down * strength, np.ones_like(right)], -1))


@dataclass(frozen=True)
class Light:
    """One directional light, an ambient one, and the air; colours are linear."""

    toward: np.ndarray
    """Unit vector (3,) to the sun: x right, y up, z to the camera."""
    sun: np.ndarray
    ambient: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    fog: float = 0.0
    """Extinction a unit of depth."""


@dataclass(frozen=True)
class Facts:
    """What a caption may say of a scene."""

    subject: str
    phrase: str
    """Noun phrase that names the subject with its main attribute."""
    details: tuple[str, ...] = ()
    """Phrases that may follow, each true of the picture."""
    traits: tuple[str, ...] = ()
    """Values of the attributes in a fixed order; the held-out combinations are chosen by them."""


@dataclass(frozen=True)
class Scene:
    """A rendered scene; depth is in the subject's own units, infinite where nothing is."""

    facts: Facts
    image_HWC: np.ndarray
    albedo_HWC: np.ndarray
    normal_HWC: np.ndarray
    depth_HW: np.ndarray
    label_HW: np.ndarray


@dataclass
class Canvas:
    """Layers of side x side samples; x, y run from -1 (left, bottom) to 1 (right, top)."""

    side: int
    light: Light
    x: np.ndarray = field(init=False)
    y: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        at = (np.arange(self.side, dtype=np.float32) + 0.5) / self.side * 2 - 1
        self.x, self.y = np.meshgrid(at, -at)
        shape = (self.side, self.side)
        self.albedo = np.zeros((*shape, 3), np.float32)
        self.normal = np.zeros((*shape, 3), np.float32)
        self.normal[..., 2] = 1.0
        self.emission = np.zeros((*shape, 3), np.float32)
        self.depth = np.full(shape, np.inf, np.float32)
        self.open = np.ones(shape, np.float32)
        """Share of the sun that reaches a sample."""
        self.gloss = np.zeros(shape, np.float32)
        self.label = np.full(shape, int(Label.SKY), np.uint8)

    def paint(
        self,
        mask: np.ndarray,
        label: Label,
        albedo: np.ndarray,
        normal: np.ndarray | None = None,
        depth: np.ndarray | float = 1.0,
        emission: np.ndarray | None = None,
        open_: np.ndarray | float = 1.0,
        gloss: np.ndarray | float = 0.0,
    ) -> None:
        """Put an opaque surface where mask is true; arguments are whole layers or constants."""
        facing = np.array([0.0, 0.0, 1.0], np.float32) if normal is None else normal
        glow = np.zeros(3, np.float32) if emission is None else emission
        m3 = mask[..., None]
        np.copyto(self.albedo, albedo, where=m3, casting="same_kind")
        np.copyto(self.normal, facing, where=m3, casting="same_kind")
        np.copyto(self.emission, glow, where=m3, casting="same_kind")
        np.copyto(self.depth, depth, where=mask, casting="same_kind")
        np.copyto(self.open, open_, where=mask, casting="same_kind")
        np.copyto(self.gloss, gloss, where=mask, casting="same_kind")
        self.label[mask] = int(label)

    def part(self, left: float, right: float, bottom: float, top: float) -> Canvas:
        """Return a canvas that shares this one's layers inside a rectangle (for painting small objects
        fast).
        """
        at = [int(np.floor((v + 1) * 0.5 * self.side)) for v in (left, right)]
        up = [int(np.floor((1 - v) * 0.5 * self.side)) for v in (top, bottom)]
        box = (slice(max(up[0], 0), max(up[1] + 1, 0)), slice(max(at[0], 0), max(at[1] + 1, 0)))
        view = copy.copy(self)
        for name in ("x", "y", "albedo", "normal", "emission", "depth", "open", "gloss", "label"):
            setattr(view, name, getattr(self, name)[box])
        return view

    def splat(
        self,
        x: np.ndarray,
        y: np.ndarray,
        label: Label,
        albedo: np.ndarray,
        normal: np.ndarray,
        depth: np.ndarray | float,
        open_: np.ndarray | float = 1.0,
        gloss: float = 0.0,
    ) -> None:
        """Put N instances of M points each: arrays (N, M) or (N, M, 3); later instances lie on top."""
        column = np.floor((x + 1) * 0.5 * self.side).astype(np.int64)
        row = np.floor((1 - y) * 0.5 * self.side).astype(np.int64)
        ok = (column >= 0) & (column < self.side) & (row >= 0) & (row < self.side)
        at = (row[ok], column[ok])
        shape = x.shape
        self.albedo[at] = np.broadcast_to(albedo, (*shape, 3))[ok]
        self.normal[at] = np.broadcast_to(normal, (*shape, 3))[ok]
        self.depth[at] = np.broadcast_to(np.asarray(depth, np.float32), shape)[ok]
        self.open[at] = np.broadcast_to(np.asarray(open_, np.float32), shape)[ok]
        self.emission[at] = 0.0
        self.gloss[at] = gloss
        self.label[at] = int(label)

    def shade(self) -> np.ndarray:
        """Linear light (side, side, 3): Lambert, one highlight, fog by depth."""
        light = self.light
        facing = np.clip(self.normal @ light.toward, 0.0, 1.0) * self.open
        up = 0.75 + 0.25 * self.normal[..., 1]
        out = self.albedo * (facing[..., None] * light.sun + up[..., None] * light.ambient)
        if self.gloss.any():
            half = unit(light.toward + np.array([0.0, 0.0, 1.0], np.float32))
            shine = self.gloss * np.clip(self.normal @ half, 0.0, 1.0) ** 40
            out += shine[..., None] * light.sun
        out += self.emission
        if light.fog:
            solid = np.isfinite(self.depth)
            haze = np.where(solid, 1 - np.exp(-np.where(solid, self.depth, 0) * light.fog), 0.0)
            out = mix(out, light.horizon, haze.astype(np.float32))
        return out

    def finish(self, facts: Facts, exposure: float = 1.0) -> Scene:
        """Shade, average the samples of each pixel in linear light, and encode for display."""
        n, s = self.side // SUPERSAMPLING, SUPERSAMPLING
        linear = self.shade().reshape(n, s, n, s, 3).mean((1, 3)) * exposure
        over = np.maximum(linear - 0.55, 0.0)
        linear = np.minimum(linear, 0.55) + 0.45 * over / (over + 0.45)  # soft shoulder for highlights
        albedo = self.albedo.reshape(n, s, n, s, 3).mean((1, 3))
        encode = lambda light: np.round(np.clip(light, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)  # noqa: E731
        return Scene(
            facts=facts,
            image_HWC=encode(linear),
            albedo_HWC=encode(albedo),
            normal_HWC=unit(self.normal[::s, ::s]),
            depth_HW=self.depth[::s, ::s].copy(),
            label_HW=self.label[::s, ::s].copy(),
        )
