"""Principal components of image patches, split into mirror-even and mirror-odd ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tools.embedded.patch_autoencoder import PATCH, PatchAutoencoder


def patches_of(images_NCHW: Tensor) -> Tensor:
    """All 8 x 8 patches as rows (P, 192), ordered channel, row, column."""
    n, c, h, w = images_NCHW.shape
    grid = images_NCHW.reshape(n, c, h // PATCH, PATCH, w // PATCH, PATCH)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, c * PATCH * PATCH)


def _mirror(rows: Tensor) -> Tensor:
    return rows.reshape(*rows.shape[:-1], 3, PATCH, PATCH).flip(-1).reshape(rows.shape)


def fit(images_NCHW: Tensor, channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Principal components of the patches and of their mirror images.

    Returns mean (192,), components (channels, 192), deviations (channels,), signs (channels,): latents of
    a mirrored picture are the mirrored latents times the signs.
    """
    rows = patches_of(images_NCHW)
    mean = (rows.mean(0) + _mirror(rows.mean(0))) / 2
    centred = rows - mean
    covariance = centred.T @ centred / len(rows)
    covariance = (covariance + _mirror(_mirror(covariance).T).T) / 2
    found = []
    for sign in (1.0, -1.0):
        identity = torch.eye(covariance.shape[0])
        project = (identity + sign * _mirror(identity)) / 2
        values, vectors = torch.linalg.eigh(project @ covariance @ project)
        found += [(float(v), sign, vectors[:, k]) for k, v in enumerate(values)]
    found.sort(key=lambda item: -item[0])
    best = found[:channels]
    components = torch.stack([vector for _, _, vector in best])
    components = components * torch.sign(components.sum(1, keepdim=True) + 1e-9)
    deviations = torch.tensor([max(value, 1e-8) ** 0.5 for value, _, _ in best])
    return mean, components, deviations, torch.tensor([sign for _, sign, _ in best])


def signs_of(model: PatchAutoencoder) -> Tensor:
    """Signs (channels,) of a model that `install` has been at: does each component change sign when mirrored?"""
    rows = model.encoder.weight.detach().float().flatten(1)
    return torch.sign((rows * _mirror(rows)).sum(1))


def install(model: PatchAutoencoder, mean: Tensor, components: Tensor, deviations: Tensor) -> None:
    """Set the linear maps: channel k is component k over the root of its deviation, all scaled to mean
    variance 1.

    The root keeps part of the natural fall-off: coarse channels stay louder than fine ones, and the
    denoiser settles them first.
    """
    scale = deviations.sqrt()
    scale = scale * ((deviations / scale) ** 2).mean().sqrt()
    with torch.no_grad():
        model.encoder.weight.copy_((components / scale[:, None]).reshape(model.encoder.weight.shape))
        model.encoder.bias = nn.Parameter(-(components @ mean) / scale)
        model.decoder.weight.copy_((components * scale[:, None]).reshape(model.decoder.weight.shape))
        model.decoder.bias = nn.Parameter(mean.reshape(3, -1).mean(1))
