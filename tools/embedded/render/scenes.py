"""The table of subjects and the one function that renders a scene."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from tools.embedded.render import buildings, landscapes, materials, objects, plants, space, trees, waters
from tools.embedded.render.canvas import SUPERSAMPLING, Canvas, Facts, Scene
from tools.embedded.render.noise import Noise

Draw = Callable[[np.random.Generator, Noise, int], tuple[Canvas, Facts]]

SUBJECTS: dict[str, Draw] = {
    "mountains": landscapes.mountains,
    "dunes": landscapes.dunes,
    "canyon": landscapes.canyon,
    "lake": landscapes.lake,
    "sea": waters.sea,
    "sunset": waters.sunset,
    "clouds": waters.clouds,
    "forest": trees.forest,
    "tree": trees.tree,
    "meadow": plants.meadow,
    "grass": plants.grass,
    "leaves": plants.foliage,
    "flower": plants.flower,
    "night sky": space.night,
    "moon": space.moon,
    "nebula": space.nebula,
    "planet": space.planet,
    "city": buildings.city,
    "house": buildings.house,
    "balloon": objects.balloon,
    "fruit": objects.fruit,
    "brick wall": materials.brick,
    "wood": materials.wood,
    "pebbles": materials.pebbles,
}
"""Every subject by the name that captions, splits and figures use."""


def render(subject: str, seed: int, size: int) -> Scene:
    """Render a scene of size x size pixels: a pure function of its arguments.

    Raises KeyError for an unknown subject.
    """
    key = zlib.crc32(subject.encode())
    rng = np.random.default_rng((key, seed))
    canvas, facts = SUBJECTS[subject](rng, Noise(key, seed), size * SUPERSAMPLING)
    return canvas.finish(facts)
