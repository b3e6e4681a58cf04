"""From the size that is denoised first to the size that is stored: second pass, reduction, crop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genir.errors import ConfigError

if TYPE_CHECKING:
    from genir.config.generate import Generate

Size = tuple[int, int]
"""Rows, columns."""


def stored_size(config: Generate, size: Size, multiple: int) -> Size:
    """What is judged and stored of images made at `size`, by a model that needs multiples of `multiple` pixels.

    Raises:
        ConfigError: the model cannot make it, or nothing of that size is left.
    """
    _check_multiple("size", size, multiple)
    made = size if config.hires is None else config.hires.enlarged(size)
    if config.hires is not None:
        _check_multiple(f"size {list(size)} with hires", made, multiple)
        if min(made[0] - size[0], made[1] - size[1]) < 0:
            raise ConfigError(f"hires.size {list(made)}: is smaller than size {list(size)}; post.downscale reduces")
        if abs(made[0] * size[1] / size[0] - made[1]) >= multiple:
            raise ConfigError(f"hires.size {list(made)}: would stretch pictures of size {list(size)}; use hires.scale")
        if config.hires.tile is not None and config.hires.tile < multiple:
            raise ConfigError(f"hires.tile {config.hires.tile}: the model needs {multiple} pixels at least")
    try:
        left = made if config.post is None else config.post.reduced(made)
    except ValueError as error:
        raise ConfigError(f"post.downscale: {error}; choose another size or factor") from None
    if config.crop is None:
        return left
    if config.crop[0] > left[0] or config.crop[1] > left[1]:
        what = "size" if left == size else f"what hires and post make of size {list(size)}:"
        raise ConfigError(f"crop {list(config.crop)}: is larger than {what} [{left[0]}, {left[1]}]")
    return config.crop


def _check_multiple(what: str, size: Size, multiple: int) -> None:
    if size[0] % multiple or size[1] % multiple:
        raise ConfigError(f"{what} [{size[0]}, {size[1]}]: the model needs multiples of {multiple} pixels")
