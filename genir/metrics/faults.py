"""Faults that diffusion models make: burnt colours, the grid of an autoencoder's stride, one thing painted twice.

All are measured at a fixed scale, so that a threshold means the same at every resolution: colours and repetition on
the picture reduced to a short side of `SIDE` pixels, the grid in windows of `WINDOW` pixels as they are (a stride of 8
is 8 pixels at every size). A smaller picture is looked at as it is. Measured on photographs: docs/methods.md.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genir.metrics.gray import gray
from genir.metrics.mscn import mscn
from genir.metrics.reduce import reduced

CHECKS = ("saturated", "grid", "repeat")
"""What `faults` returns, in this order."""
SIDE = 96
WINDOW = 128
"""Also the smallest side of a picture."""
PERIOD = 16
"""Pixels; its harmonics include those of 8, 4 and 2."""
CHROMA = 200
"""Largest minus smallest channel from which a colour counts as burnt, of 255."""
_LINES = WINDOW // PERIOD  # bins between two harmonics
_BESIDE = (-4, -3, 3, 4)  # bins: beyond the main lobe of the window, up to half way to the next harmonic
_BLUR = 9  # pixels of the reduced picture: what is larger is the scene's light, not a thing in it
_FLAT = 4.0  # levels: contrast below it is not amplified
_EMPTY = 0.05  # energy of a pixel that a patch without structure is given


def faults(images_NCHW: Tensor) -> dict[str, Tensor]:
    """uint8 RGB 0..255 -> saturated, grid, repeat: each (N,) float32; higher is worse.

    The functions below say what each is. An image's numbers do not depend on its neighbours in the batch. Raises
    GenirError for another dtype or shape, ImageError for sides below 128 pixels.
    """
    gray_NHW = gray(images_NCHW, "fault", WINDOW)
    scores = {
        "saturated": saturated_share(images_NCHW),
        "grid": grid_peak(gray_NHW),
        "repeat": repetition(gray_NHW),
    }
    return {name: values_N.float() for name, values_N in scores.items()}


def saturated_share(images_NCHW: Tensor) -> Tensor:
    """uint8 RGB -> share of the area (N,), 0..1, whose colour is burnt: chroma (largest minus smallest channel) of 200
    and more, after reducing. What too high a guidance scale does to colours.
    """
    reduced_NCHW = reduced(images_NCHW.double(), SIDE)
    chroma_NHW = reduced_NCHW.amax(dim=1) - reduced_NCHW.amin(dim=1)
    return (chroma_NHW >= CHROMA).double().mean(dim=(1, 2))


def grid_peak(gray_NHW: Tensor) -> Tensor:
    """Luma 0..255 -> highest peak (N,) in dB that a grid of period 16, 8, 4 or 2 pixels has over neighbouring
    frequencies.

    MSCN coefficients are averaged along the columns, and along the rows: what is not aligned with the pixel grid
    averages out. The power spectrum of such a profile (mean over Hann windows of 128 pixels, half overlapping) is
    compared at k / 16 cycles a pixel, k = 1..8, with the median of four bins beside it. The peak must stand at two
    harmonics at least, as lines do: a smooth wave of the scene has one. 0 where there is none.
    """
    coefficients_NHW, _ = mscn(gray_NHW)
    hann = torch.hann_window(WINDOW, dtype=torch.float64, device=gray_NHW.device)
    peaks = []
    for axis in (1, 2):
        profile_NL = coefficients_NHW.mean(dim=axis)
        windows_NKL = profile_NL.unfold(1, WINDOW, WINDOW // 2) * hann
        power_NB = torch.fft.rfft(windows_NKL).abs().square().mean(dim=1)
        level_NB = 10 * (power_NB + 1e-12).log10()
        above = []
        for harmonic in range(_LINES, WINDOW // 2 + 1, _LINES):
            beside = [harmonic + step for step in _BESIDE if harmonic + step <= WINDOW // 2]
            around_NS = level_NB[:, beside].sort(dim=1).values
            middle = (len(beside) - 1) // 2
            median_N = (around_NS[:, middle] + around_NS[:, len(beside) // 2]) / 2
            above.append(level_NB[:, harmonic] - median_N)
        peaks.append(torch.stack(above, dim=1).topk(2, dim=1).values[:, 1])
    return torch.stack(peaks).amax(dim=0).clamp(min=0)


def repetition(gray_NHW: Tensor) -> Tensor:
    """Luma 0..255 -> how much a large part of the picture looks like another (N,), -1..1; 1: a copy.

    Highest normalised cross-correlation of a square patch (half the short side; every quarter of it) with the picture
    at least a quarter of the short side away, on locally normalised luma. This is what models do above their native
    size: the scene stacked, an object twice. Not seen: mirrored or small copies. Regular textures (a brick wall) repeat
    as well.
    """
    gray_NHW = reduced(gray_NHW[:, None], SIDE)[:, 0]
    pattern_NHW = _normalised(gray_NHW)
    n, height, width = pattern_NHW.shape
    side = min(height, width) // 2
    padded = (height + side, width + side)
    spectrum = torch.fft.rfft2(pattern_NHW, padded)
    sums = F.pad(pattern_NHW * pattern_NHW, (1, 0, 1, 0)).cumsum(dim=1).cumsum(dim=2)
    energy = sums[:, side:, side:] - sums[:, :-side, side:] - sums[:, side:, :-side] + sums[:, :-side, :-side]
    rows, columns = height - side + 1, width - side + 1
    down = torch.arange(rows, device=gray_NHW.device)[:, None]
    across = torch.arange(columns, device=gray_NHW.device)
    best_N = pattern_NHW.new_full((n,), -1.0)
    for top in range(0, rows, side // 2):
        for left in range(0, columns, side // 2):
            patch = torch.fft.rfft2(pattern_NHW[:, top : top + side, left : left + side], padded)
            product = torch.fft.irfft2(spectrum * patch.conj(), padded)[:, :rows, :columns]
            own = energy[:, top, left].clamp(min=0)[:, None, None]
            likeness = product / ((energy.clamp(min=0) * own).sqrt() + _EMPTY * side * side)
            apart = torch.maximum((down - top).abs(), (across - left).abs()) >= side // 2
            best_N = torch.maximum(best_N, likeness.masked_fill(~apart, -1.0).flatten(1).amax(dim=1))
    return best_N


def _normalised(gray_NHW: Tensor) -> Tensor:
    """Minus the local mean, over the local standard deviation: light and shade of a scene are alike everywhere."""
    edge = _BLUR // 2
    both = torch.stack([gray_NHW, gray_NHW * gray_NHW], dim=1)
    mean_NHW, square_NHW = F.avg_pool2d(F.pad(both, (edge,) * 4, mode="reflect"), _BLUR, stride=1).unbind(1)
    return (gray_NHW - mean_NHW) / ((square_NHW - mean_NHW * mean_NHW).clamp(min=0).sqrt() + _FLAT)
