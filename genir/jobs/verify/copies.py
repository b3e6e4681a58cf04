"""`genir verify --copies DIR`: are kept images copies of pictures that the model may have been trained on?"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from genir import images, storage
from genir.bounds import upper_bound
from genir.config.audit import Copies
from genir.config.base import resolve
from genir.detectors.faces import FaceDetector
from genir.errors import ConfigError, PlanError
from genir.metrics.features import network
from genir.metrics.features.copies import GROUP, among_others, nearest
from genir.runs.summary import local_root
from genir.sheet import Tile, contact_sheet
from genir.sources import open_source, taken
from genir.sources.pictures import pictures

if TYPE_CHECKING:
    from torch import Tensor

    from genir.sources import Source

SIDE = 128  # pixels; what the network of the features was trained on
SHOWN = 16  # pairs on the sheet
NULL = 300  # real pictures that set the threshold, at most


class _Set(NamedTuple):
    """Pictures reduced to one size."""

    names: list[str]
    images_NCHW: Tensor
    features_NF: Tensor


def copies(run: str, folder: str, overrides: Sequence[str]) -> Iterator[str]:
    """Lines for the user; the nearest pairs go to `<run>/audits/copies.png`, for the owner's eyes only.

    Raises:
        GenirError: no such run or folder, too few pictures.
    """
    config = resolve(Copies, {}, "verify --copies", overrides)
    root = local_root(run if Path(run).exists() else run.rpartition("#")[0] or run)
    model = network.load()
    known = _pictures(open_source(folder), None, model)
    if len(known.names) <= GROUP + 1:
        raise ConfigError(f"{folder}: {len(known.names)} pictures, but at least {GROUP + 2} are needed")
    made = _pictures(open_source(run), config.sample, model)
    if not made.names:
        raise PlanError(f"{run}: no image is kept, there is nothing to compare")
    closeness_N, place_N = nearest(made.images_NCHW, made.features_NF, known.images_NCHW, known.features_NF)
    null_M = _null(config, known, model)
    share = max(config.share, 1 / len(null_M))
    threshold = float(np.quantile(null_M, share))
    below = int((closeness_N < threshold).sum())
    yield f"compared   {len(made.names)} kept images with {len(known.names)} pictures of {folder}, by {network.NAME}"
    yield f"threshold  closeness {threshold:.3f}: {share:.1%} of {len(null_M)} real pictures are below it"
    yield (
        f"copies     {below} kept images are below it ({below / len(made.names):.2%}, of all kept at most "
        f"{upper_bound(below, len(made.names)):.2%}; about {share:.1%} would be by chance)"
    )
    order = closeness_N.argsort()[:SHOWN].tolist()
    for n in order[:5]:
        yield f"nearest    {made.names[n]} to {known.names[int(place_N[n])]}: {float(closeness_N[n]):.3f}"
    yield f"pairs      {_sheet(root, made, known, order, place_N, config.blur)}"


def _pictures(source: Source, sample: int | None, model: network.SceneFeatures) -> _Set:
    found = list(taken(source))
    if sample is not None and sample < len(found):
        found = [found[n] for n in sorted(random.Random("genir:copies").sample(range(len(found)), sample))]
    names, parts = [], []
    for batch in pictures([found[n : n + 16] for n in range(0, len(found), 16)]):
        for one in batch:
            if one.pixels_CHW is not None:
                names.append(one.original.name)
                fitted_CHW = np.ascontiguousarray(images.fit(one.pixels_CHW, (SIDE, SIDE)))
                parts.append(torch.from_numpy(fitted_CHW))
    images_NCHW = torch.stack(parts) if parts else torch.empty(0, 3, SIDE, SIDE, dtype=torch.uint8)
    return _Set(names, images_NCHW, network.scene_features(images_NCHW, model))


def _null(config: Copies, known: _Set, model: network.SceneFeatures) -> np.ndarray:
    """Closeness of real pictures that are no copies: unseen ones, or each known one to all the others."""
    if config.unseen is not None:
        unseen = _pictures(open_source(config.unseen), NULL, model)
        if not unseen.names:
            raise ConfigError(f"unseen: {config.unseen}: no picture can be read there")
        return nearest(unseen.images_NCHW, unseen.features_NF, known.images_NCHW, known.features_NF)[0].numpy()
    places_N = torch.arange(0, len(known.names), -(-len(known.names) // NULL))
    return among_others(known.images_NCHW, known.features_NF, places_N).numpy()


def _sheet(root: Path, made: _Set, known: _Set, order: Sequence[int], place_N: Tensor, blur: float) -> Path:
    """The pairs, for the owner's eyes only; where a face may be in sight nobody can be recognised."""
    shown = [one for n in order for one in ((made, n), (known, int(place_N[n])))]
    faces = FaceDetector().detect(torch.stack([own.images_NCHW[n] for own, n in shown]))
    tiles = [
        Tile(f"{n:09d}", own.names[n], "kept", "", own.images_NCHW[n].numpy(), face=found.score >= blur)
        for (own, n), found in zip(shown, faces, strict=True)
    ]
    path = root / "audits" / "copies.png"
    with storage.explained(path):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        storage.write(path, contact_sheet(tiles, side=2 * SIDE))
        path.chmod(0o600)
    return path
