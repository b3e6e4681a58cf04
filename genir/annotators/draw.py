"""Predictions -> labels as Jodi reads them, and what a label must be.

Depth: near is bright, each picture from 0 to 255. Edges white on black, lineart black on white. Normals in camera
space: what faces the camera is blue, up is green, and what faces LEFT is red (Joint-1.6M's own convention).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from genir.annotators.label import Label
from genir.annotators.segments import PERSON, classes_of, coloured
from genir.annotators.skeleton import SEEN, drawn
from genir.records import Score

UNIT = 0.05
"""How far from 1 the length of an 8-bit normal may be: rounding alone makes 0.007."""
_FEW = 0.01  # share of the pixels


@dataclass(frozen=True)
class Sense:
    """Which way round a backend predicts; `selfcheck` finds it out."""

    depth: Literal["disparity", "distance", "affine distance"] = "disparity"
    """What is near is large; what is far is large, in metres or the like; the same up to scale and shift."""
    right: Literal["red", "cyan"] = "red"
    """Sign of a normal's x: is what faces right positive (red) or negative?"""


def label_of(domain: str, prediction: np.ndarray, size_HW: tuple[int, int], sense: Sense) -> Label:
    """The label of a picture of `size_HW`, with its reason where it fails a check."""
    if not np.isfinite(prediction).all():
        return Label(None, "nonfinite")
    label = _DRAWN[domain](prediction, size_HW, sense)
    label.reason = label.reason or failing(domain, label.pixels_CHW, size_HW)
    return label


def finished(domain: str, pixels_CHW: np.ndarray | None, size_HW: tuple[int, int]) -> Label:
    """A label that is there already, with its reason where it fails a check."""
    reason = failing(domain, pixels_CHW, size_HW)
    scores: dict[str, Score] = {}
    if domain == "segmentation" and pixels_CHW is not None and not reason:
        scores["person_area"] = float((classes_of(pixels_CHW) == PERSON).mean())
    return Label(pixels_CHW, reason, scores)


def failing(domain: str, pixels_CHW: np.ndarray | None, size_HW: tuple[int, int]) -> str:
    """Why a finished label cannot be used: "size", "flat", "polarity", "palette", "not unit", "facing away"; or ""."""
    if pixels_CHW is None:
        return "nobody" if domain == "openpose" else "nothing"
    if pixels_CHW.shape[1:] != tuple(size_HW):
        return "size"
    if domain in ("edge", "lineart", "depth", "albedo") and pixels_CHW.min() == pixels_CHW.max():
        return "flat"
    if domain in ("edge", "lineart") and (pixels_CHW.mean() > 127.5) == (domain == "edge"):
        return "polarity"
    if domain == "segmentation" and (pixels_CHW.shape[0] != 3 or classes_of(pixels_CHW) is None):
        return "palette"
    return _failing_normals(pixels_CHW) if domain == "normal" else ""


def normals_of(pixels_CHW: np.ndarray) -> np.ndarray:
    """Camera-space normals (3, H, W) of a label, x to the RIGHT, y up, z toward the camera; lengths as they are."""
    normals_CHW = pixels_CHW.astype(np.float32) / 127.5 - 1
    normals_CHW[0] *= -1
    return normals_CHW


def _failing_normals(pixels_CHW: np.ndarray) -> str:
    if pixels_CHW.shape[0] != 3:
        return "not unit"
    normals_CHW = normals_of(pixels_CHW)
    length_HW = np.sqrt((normals_CHW**2).sum(0))
    if (np.abs(length_HW - 1) > UNIT).mean() > _FEW:
        return "not unit"
    return "facing away" if (normals_CHW[2] < -0.1).mean() > 0.5 else ""


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _strength(prediction: np.ndarray, size_HW: tuple[int, int], sense: Sense) -> Label:
    return Label(np.broadcast_to(_bytes(prediction), (3, *prediction.shape)))


def _depth(prediction: np.ndarray, size_HW: tuple[int, int], sense: Sense) -> Label:
    near_HW = prediction.astype(np.float64)
    if sense.depth == "distance":
        near_HW = 1 / np.maximum(near_HW, 1e-3)
    elif sense.depth == "affine distance":
        near_HW = -near_HW
    low, high = float(near_HW.min()), float(near_HW.max())
    return Label(_bytes((near_HW - low) / (high - low or 1))[None])


def _normal(prediction: np.ndarray, size_HW: tuple[int, int], sense: Sense) -> Label:
    normals_CHW = prediction / np.maximum(np.sqrt((prediction**2).sum(0)), 1e-6)
    if sense.right == "red":
        normals_CHW = normals_CHW * np.array([-1, 1, 1], np.float32)[:, None, None]
    return Label(_bytes((normals_CHW + 1) / 2))


def _albedo(prediction: np.ndarray, size_HW: tuple[int, int], sense: Sense) -> Label:
    return Label(_bytes(prediction))


def _segmentation(prediction: np.ndarray, size_HW: tuple[int, int], sense: Sense) -> Label:
    return Label(coloured(prediction), scores={"person_area": float((prediction == PERSON).mean())})


def _openpose(prediction: np.ndarray, size_HW: tuple[int, int], sense: Sense) -> Label:
    people = int((prediction[..., 2] >= SEEN).any(1).sum())
    return Label(drawn(prediction, size_HW), scores={"people": people})


_DRAWN: dict[str, Callable[[np.ndarray, tuple[int, int], Sense], Label]] = {
    "edge": _strength,
    "lineart": _strength,
    "depth": _depth,
    "normal": _normal,
    "albedo": _albedo,
    "segmentation": _segmentation,
    "openpose": _openpose,
}


def agreement(depth_HW: np.ndarray, normal_CHW: np.ndarray) -> float | None:
    """Do a depth and a normal label show the same surface? Mean cosine, -1..1, between the gradient of disparity and
    the direction in which the normals lean; None where no pixel can tell.

    On a plane the two are parallel: 1/Z = (n . ray) / distance is linear in the picture (any pinhole camera, and any
    increasing scale of disparity). Pixels count by how far their normal leans; jumps of depth, flat places and normals
    toward the camera say nothing.

    Args:
        depth_HW: uint8, near is bright.
        normal_CHW: uint8 label.
    """
    disparity_HW = _smooth(depth_HW.astype(np.float32))
    lean = np.stack([_smooth(part) for part in normals_of(normal_CHW)[:2]])
    down, right = np.gradient(disparity_HW)
    steep_HW = np.hypot(right, down)
    lean_HW = np.hypot(*lean)
    told = (steep_HW > 0.1) & (steep_HW < 8) & (lean_HW > 0.2)
    if told.mean() < _FEW:
        return None
    # x to the right: the surface comes nearer to the left where its normal leans right; y of the picture goes down
    cosine_HW = (-lean[0] * right + lean[1] * down) / np.maximum(lean_HW * steep_HW, 1e-6)
    return float((cosine_HW * lean_HW)[told].sum() / lean_HW[told].sum())


def _smooth(plane_HW: np.ndarray) -> np.ndarray:
    """The mean of 5 x 5: labels have 8 bits, and gentle slopes are stairs."""
    # sums over megapixels: float32 would leave nothing of the differences
    padded = np.pad(plane_HW, 2, "edge").cumsum(0, np.float64).cumsum(1)
    padded = np.pad(padded, ((1, 0), (1, 0)))
    return (padded[5:, 5:] - padded[:-5, 5:] - padded[5:, :-5] + padded[:-5, :-5]) / 25
