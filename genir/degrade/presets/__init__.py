"""Degradations by name: the YAML files beside this one."""

from __future__ import annotations

from pathlib import Path

from genir.config.base import load
from genir.config.degradation import Degradation
from genir.errors import ConfigError

_FOLDER = Path(__file__).parent
NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "bicubic": ("bicubic", ()),
    "light": ("light", ()),
    "bsrgan": ("bsrgan", ()),
    "realesrgan": ("realesrgan", ()),
    "seesr": ("realesrgan", ("crop=512", "patch=null")),
    "dreamclear": ("realesrgan", ("crop=1024", "patch=null")),
}
"""Preset -> its file, and what it changes there."""


def preset(name: str) -> Degradation:
    """The degradation of that name, or in that YAML file.

    Raises:
        ConfigError: neither a preset nor a file, or a mistake in the file.
    """
    if name in NAMES:
        file, changes = NAMES[name]
        return load(Degradation, _FOLDER / f"{file}.yaml", changes)
    if not name.endswith((".yaml", ".yml")):
        raise ConfigError(f"degradation {name!r}: no such preset; there are {', '.join(NAMES)}, or name a .yaml file")
    return load(Degradation, name)
