"""Steps -> pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from genir.degrade import codecs, filters, kernels, noise
from genir.degrade.resize import decimate, resize

if TYPE_CHECKING:
    from torch import Tensor

    from genir.degrade.draw import Step

_OPERATIONS: dict[str, Callable[[Tensor, Any], Tensor]] = {
    "usm": lambda image, step: filters.unsharp_mask(image, step["weight"], step["radius"], step["threshold"]),
    "blur": lambda image, step: filters.blur(image, kernels.build(step)),
    "resize": lambda image, step: resize(image, step["size"], step["mode"]),
    "decimate": lambda image, step: decimate(image, step["size"], step["sigma"]),
    "gaussian": lambda image, step: noise.gaussian(
        image, step["sigma"], step["gray"], step["seed"], step.get("covariance")
    ),
    "poisson": lambda image, step: noise.poisson(image, step["scale"], step["gray"], step["seed"]),
    "diffjpeg": lambda image, step: codecs.diffjpeg(image, step["quality"]),
    "libjpeg": lambda image, step: codecs.libjpeg(image, step["quality"]),
    "webp": lambda image, step: codecs.webp(image, step["quality"]),
}


def apply(image_CHW: Tensor, steps: Iterable[Step]) -> Tensor:
    """Degrade one image by the steps that `draw` gave, or that a table row holds.

    Args:
        image_CHW: float32 RGB, 0..1; stays as it is.
        steps: in order.

    Returns:
        float32, not clipped to 0..1.
    """
    for step in steps:
        image_CHW = _OPERATIONS[step["op"]](image_CHW, step)
    return image_CHW
