"""Copies: is an image a training image, rather than one like them?

After Carlini et al. 2023, "Extracting Training Data from Diffusion Models" (arXiv 2301.13188), section 5.1: a
distance to the nearest training image says little, because skies are near to all other skies, so it is
divided by the mean distance to the nearest training images as a group. Deviations: the group is chosen in
features, distances are taken between aligned thumbnails, and the threshold comes from real images that were
not trained on.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from genir.errors import GenirError

GROUP = 50
"""Training images that an image is compared with: the nearest in features."""
THUMBNAIL = 32
"""Side of the area-averaged picture in which pixels are compared."""
SHIFT = 2
"""Alignment: up to this many thumbnail pixels, a sixteenth of the side, each way; mirrored or not."""


class CopyRate(NamedTuple):
    """What is called a copy, and how many there are."""

    rate: float
    """Fraction of the images below `threshold`."""
    threshold: float
    """`closeness` that the given share of real, unseen images goes below."""


def closeness(images_NCHW: Tensor, features_NF: Tensor, training_MCHW: Tensor, training_features_MF: Tensor) -> Tensor:
    """Distance (N,) to the nearest training image over the mean distance to the nearest 50; 0..1.

    0 is a training image itself, 1 an image that is equally far from all of its group. Images are uint8 RGB
    of any sizes, the features (of one network) are theirs. A distance is the root mean square difference of
    thumbnails, the least over small shifts and mirroring. Raises GenirError for fewer than 51 training
    images.
    """
    return nearest(images_NCHW, features_NF, training_MCHW, training_features_MF)[0]


def nearest(
    images_NCHW: Tensor, features_NF: Tensor, training_MCHW: Tensor, training_features_MF: Tensor
) -> tuple[Tensor, Tensor]:
    """`closeness` (N,), and the place (N,) of the training image that is the nearest of the group."""
    if len(training_MCHW) <= GROUP:
        raise GenirError(f"copies: {len(training_MCHW)} training images, but more than {GROUP} are needed")
    gaps_NM = torch.cdist(features_NF.double(), training_features_MF.double())
    return _nearest(_thumbnails(images_NCHW), _thumbnails(training_MCHW), gaps_NM)


def among_others(training_MCHW: Tensor, training_features_MF: Tensor, places_N: Tensor) -> Tensor:
    """`closeness` (N,) of the training images at these places, each to all the others."""
    if len(training_MCHW) <= GROUP + 1:
        raise GenirError(f"copies: {len(training_MCHW)} training images, but more than {GROUP + 1} are needed")
    gaps_NM = torch.cdist(training_features_MF[places_N].double(), training_features_MF.double())
    gaps_NM[torch.arange(len(places_N)), places_N] = torch.inf
    training = _thumbnails(training_MCHW)
    return _nearest(training[places_N], training, gaps_NM)[0]


def _nearest(images: Tensor, training: Tensor, gaps_NM: Tensor) -> tuple[Tensor, Tensor]:
    rows, places = [], []
    for image, nearest_G in zip(images, gaps_NM.topk(GROUP, largest=False).indices, strict=True):
        distance_G = _aligned_distance(image, training[nearest_G])
        rows.append(distance_G.min() / distance_G.mean().clamp(min=1e-6))
        places.append(nearest_G[distance_G.argmin()])
    return torch.stack(rows), torch.stack(places)


def copy_rate(generated_N: Tensor, unseen_M: Tensor, share: float = 0.01) -> CopyRate:
    """How many images are closer to a training image than all but `share` of real unseen images are.

    Takes the `closeness` of generated images and of real images of the same kind that were not trained on,
    both to the same training images. A model that copies nothing has a rate of about `share`. Raises
    GenirError where `share` of the unseen images is less than one image.
    """
    if share * len(unseen_M) < 1:
        raise GenirError(f"copies: {len(unseen_M)} unseen images, but at least {round(1 / share)} are needed")
    threshold = float(unseen_M.double().quantile(share))
    return CopyRate(float((generated_N.double() < threshold).double().mean()), threshold)


def _thumbnails(images_NCHW: Tensor) -> Tensor:
    parts = [F.adaptive_avg_pool2d(part.float(), THUMBNAIL) for part in images_NCHW.split(256)]
    return torch.cat(parts)


def _aligned_distance(image_CHW: Tensor, others_GCHW: Tensor) -> Tensor:
    """Root mean square difference (G,) of the middle of the image to each other one, at the best alignment."""
    side = THUMBNAIL - 2 * SHIFT
    middle = image_CHW[:, SHIFT : SHIFT + side, SHIFT : SHIFT + side]
    best_G = torch.full((len(others_GCHW),), torch.inf, device=others_GCHW.device)
    for others in (others_GCHW, others_GCHW.flip(3)):
        for y, x in itertools.product(range(2 * SHIFT + 1), repeat=2):
            square_G = (others[:, :, y : y + side, x : x + side] - middle).square().mean(dim=(1, 2, 3))
            best_G = torch.minimum(best_G, square_G)
    return best_G.sqrt()
