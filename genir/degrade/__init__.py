"""HQ pictures -> LQ pictures: second-order degradation with parameters of its own for every picture."""

from genir.degrade.degrader import Degrader, Pair, Recipe
from genir.degrade.presets import NAMES, preset

__all__ = ["NAMES", "Degrader", "Pair", "Recipe", "preset"]
