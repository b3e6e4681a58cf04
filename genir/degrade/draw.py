"""Degradation -> steps: all that is random is drawn here, before a pixel is touched.

A step is a flat mapping of plain numbers and words that `apply` executes and a table row stores: the same steps on the
same pixels give the same LQ.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from genir.config import degradation as blocks

if TYPE_CHECKING:
    from genir.config.degradation import AnyBlock, Degradation

Step = dict[str, Any]
Word = TypeVar("Word")
_DIGITS = 6  # of a drawn number: enough for any strength, and short in a million rows


def draw(degradation: Degradation, rng: random.Random, size_HW: tuple[int, int]) -> list[Step]:
    """The steps of one picture.

    Args:
        degradation: what may happen.
        rng: used up in the order of the blocks.
        size_HW: rows and columns of the HQ, multiples of `degradation.scale`.
    """
    steps: list[Step] = []
    if degradation.usm is not None:
        steps.append({"op": "usm", **degradation.usm.model_dump()})
    lq_HW = (size_HW[0] // degradation.scale, size_HW[1] // degradation.scale)
    drawn = _Drawing(rng, size_HW, lq_HW)
    steps += drawn.sequence(degradation.blocks)
    if drawn.size_HW != lq_HW:
        steps.append({"op": "resize", "mode": "bicubic", "size": list(lq_HW)})
    return steps


class _Drawing:
    def __init__(self, rng: random.Random, size_HW: tuple[int, int], lq_HW: tuple[int, int]) -> None:
        self.rng, self.size_HW, self._lq_HW = rng, size_HW, lq_HW

    def sequence(self, sequence: Sequence[AnyBlock]) -> Iterator[Step]:
        for block in sequence:
            if block.p == 1 or self.rng.random() < block.p:
                yield from self._block(block)

    def _block(self, block: AnyBlock) -> Iterator[Step]:
        if isinstance(block, blocks.Choice):
            chosen = self._pick({index: option.weight for index, option in enumerate(block.options)})
            yield from self.sequence(block.options[chosen].blocks)
        elif isinstance(block, blocks.Shuffle):
            yield from self.sequence(self._shuffled(block))
        else:
            yield _DRAWERS[type(block)](self, block)

    def blur(self, block: blocks.Blur) -> Step:
        kernel = self._pick(block.kernels)
        step = {"op": "blur", "kernel": kernel, "size": self._odd(block.size)}
        isotropic = kernel.endswith("iso") and not kernel.endswith("aniso")
        first = self._width(block)
        step["sigma"] = [first, first if isotropic else self._width(block)]
        step["angle"] = 0.0 if isotropic else self._number(-math.pi, math.pi)
        family = kernel.partition("_")[0]
        if family in ("generalized", "plateau"):
            low, high = block.beta_plateau if family == "plateau" else block.beta_generalized
            # as in the code of Real-ESRGAN: for the plateau's range 1..2 half of the shapes are 1
            step["beta"] = self._number(low, 1.0) if self.rng.random() < 0.5 else self._number(1.0, high)
        return step

    def _width(self, block: blocks.Blur) -> float:
        if block.sigma is not None:
            return self._number(*block.sigma)
        assert block.variance is not None
        return _short(math.sqrt(self._number(*block.variance)))

    def sinc(self, block: blocks.Sinc) -> Step:
        size = self._odd(block.size)
        bounds = block.cutoff[max(start for start in block.cutoff if start <= size)]
        return {"op": "blur", "kernel": "sinc", "size": size, "cutoff": self._number(*bounds)}

    def motion(self, block: blocks.Motion) -> Step:
        length, angle = self._number(*block.length), self._number(0.0, math.pi)
        return {"op": "blur", "kernel": "motion", "length": length, "angle": angle}

    def defocus(self, block: blocks.Defocus) -> Step:
        return {"op": "blur", "kernel": "defocus", "radius": self._number(*block.radius)}

    def resize(self, block: blocks.Resize) -> Step:
        if block.divisor is not None:
            factor = 1 / self._number(*block.divisor)
        else:
            direction = self._pick(block.directions)
            low, high = {"up": (1.0, block.factor[1]), "down": (block.factor[0], 1.0), "keep": (1.0, 1.0)}[direction]
            factor = self._number(low, high)
        base_HW = self.size_HW if block.of == "present" else self._lq_HW
        self.size_HW = (max(1, int(base_HW[0] * factor)), max(1, int(base_HW[1] * factor)))
        mode = block.modes[int(self.rng.random() * len(block.modes))]
        return {"op": "resize", "mode": mode, "factor": _short(factor), "size": list(self.size_HW)}

    def decimate(self, block: blocks.Decimate) -> Step:
        self.size_HW = self._lq_HW
        return {"op": "decimate", "sigma": self._number(*block.sigma), "size": list(self._lq_HW)}

    def gaussian(self, block: blocks.Gaussian) -> Step:
        step: Step = {"op": "gaussian", "sigma": self._number(*block.sigma)}
        kind = self.rng.random()
        step |= {"gray": kind < block.gray, "seed": self._seed()}
        if block.gray <= kind < block.gray + block.correlated:
            step["covariance"] = self._covariance(block.sigma[1])
        return step

    def _covariance(self, sigma: float) -> list[list[float]]:
        """BSRGAN's: |sigma^2 U' D U| with a random orthogonal U and a diagonal D in 0..1."""
        diagonal = [self.rng.random() for _ in range(3)]
        rows: list[list[float]] = []
        while len(rows) < 3:  # Gram and Schmidt
            row = [self.rng.random() for _ in range(3)]
            for other in rows:
                along = sum(a * b for a, b in zip(row, other, strict=True))
                row = [a - along * b for a, b in zip(row, other, strict=True)]
            norm = math.sqrt(sum(a * a for a in row))
            if norm > 1e-6:
                rows.append([a / norm for a in row])
        return [
            [_short(abs(sigma**2 * sum(diagonal[k] * rows[k][i] * rows[k][j] for k in range(3)))) for j in range(3)]
            for i in range(3)
        ]

    def poisson(self, block: blocks.Poisson) -> Step:
        scale = self._number(*block.scale)
        return {"op": "poisson", "scale": scale, "gray": self.rng.random() < block.gray, "seed": self._seed()}

    def jpeg(self, block: blocks.Jpeg) -> Step:
        whole = block.codec == "libjpeg"
        quality = self._whole(*block.quality) if whole else self._number(*block.quality)
        return {"op": block.codec, "quality": quality}

    def webp(self, block: blocks.Webp) -> Step:
        return {"op": "webp", "quality": self._whole(*block.quality)}

    def _number(self, low: float, high: float) -> float:
        return _short(low + (high - low) * self.rng.random())

    def _whole(self, low: float, high: float) -> int:
        return int(low) + int(self.rng.random() * (int(high) - int(low) + 1))

    def _odd(self, bounds: tuple[int, int]) -> int:
        first = bounds[0] + (bounds[0] % 2 == 0)
        return first + 2 * int(self.rng.random() * ((bounds[1] - first) // 2 + 1))

    def _pick(self, weights: Mapping[Word, float]) -> Word:
        below, drawn = 0.0, self.rng.random() * sum(weights.values())
        for word, weight in weights.items():
            below += weight
            if drawn < below:
                return word
        return next(word for word, weight in reversed(list(weights.items())) if weight)  # rounding

    def _shuffled(self, block: blocks.Shuffle) -> list[AnyBlock]:
        order = list(range(len(block.blocks)))
        for last in range(len(order) - 1, 0, -1):  # Fisher and Yates
            other = int(self.rng.random() * (last + 1))
            order[last], order[other] = order[other], order[last]
        fixed = iter(sorted(block.keep_order))
        return [block.blocks[next(fixed) if index in block.keep_order else index] for index in order]

    def _seed(self) -> int:
        return self.rng.getrandbits(63)


def _short(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")


_DRAWERS: dict[type, Callable[[_Drawing, Any], Step]] = {
    blocks.Blur: _Drawing.blur,
    blocks.Sinc: _Drawing.sinc,
    blocks.Motion: _Drawing.motion,
    blocks.Defocus: _Drawing.defocus,
    blocks.Resize: _Drawing.resize,
    blocks.Decimate: _Drawing.decimate,
    blocks.Gaussian: _Drawing.gaussian,
    blocks.Poisson: _Drawing.poisson,
    blocks.Jpeg: _Drawing.jpeg,
    blocks.Webp: _Drawing.webp,
}
