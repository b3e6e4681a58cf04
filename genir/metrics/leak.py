"""The leak test: can two sets of pictures be told apart by the traces of how they were made?

A picture that went through an autoencoder differs from a camera's in the fine structure of its spectrum, whatever its
quality. A classifier, reward or learner that sees one kind on the clean side and the other on the degraded side learns
that difference. The test measures it: a small linear classifier on radial power spectra, cross-validated.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

BINS = 24
FOLDS = 5
LEAST = 20
"""Photographs below which the result says nothing."""
_RIDGE = 1e-2
_OPPONENT = ((0.299, 0.587, 0.114), (0.5, -0.5, 0.0), (0.25, 0.25, -0.5))  # luma, red-green, yellow-blue


def spectrum(image_CHW: Tensor) -> Tensor:
    """uint8 RGB (3, H, W) -> log power in `BINS` rings of equal width up to the Nyquist frequency, of luma and two
    colour differences: (3 * BINS,), float64. Does not depend on the size but by its noise.
    """
    planes_CHW = torch.tensordot(image_CHW.new_tensor(_OPPONENT, dtype=torch.float64), image_CHW.double(), dims=1)
    height, width = planes_CHW.shape[1:]
    window_HW = torch.hann_window(height, dtype=torch.float64)[:, None] * torch.hann_window(width, dtype=torch.float64)
    window_HW = window_HW.to(image_CHW.device)
    centred_CHW = planes_CHW - planes_CHW.mean(dim=(1, 2), keepdim=True)
    power_CHW = torch.fft.fft2(centred_CHW * window_HW).abs().square() / window_HW.square().sum()
    down, across = torch.fft.fftfreq(height, dtype=torch.float64), torch.fft.fftfreq(width, dtype=torch.float64)
    radius_HW = (down[:, None].square() + across.square()).sqrt()
    ring_HW = (radius_HW * 2 * BINS).long().clamp(max=BINS - 1).to(image_CHW.device)
    sums_CB = power_CHW.new_zeros(3, BINS).index_add_(1, ring_HW.flatten(), power_CHW.flatten(1))
    counts_B = torch.bincount(ring_HW.flatten(), minlength=BINS).clamp(min=1)
    return (sums_CB / counts_B + 1e-3).log().flatten()


def leak_auc(pairs: Iterable[tuple[Tensor, Tensor]]) -> tuple[float | None, int]:
    """(area under the ROC curve 0..1, number of pairs) of telling the second picture of a pair from the first.

    0.5: they cannot be told apart; 1: always. Every pair shows the same photograph (uint8 RGB (3, H, W)) and is judged
    by a classifier that was fitted without it: regularised least squares (Fisher's discriminant) in `FOLDS` folds.
    None with fewer than `LEAST` pairs.
    """
    features = [torch.stack([spectrum(first), spectrum(second)]).cpu() for first, second in pairs]
    count = len(features)
    if count < LEAST:
        return None, count
    features_N2F = torch.stack(features)
    scores_N2 = torch.zeros(count, 2, dtype=torch.float64)
    fold_N = torch.arange(count) % FOLDS
    for fold in range(FOLDS):
        seen, unseen = features_N2F[fold_N != fold], features_N2F[fold_N == fold]
        mean_F, std_F = seen.flatten(0, 1).mean(dim=0), seen.flatten(0, 1).std(dim=0).clamp(min=1e-6)
        x_KF = ((seen - mean_F) / std_F).flatten(0, 1)
        target_K = torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat(len(seen))
        gram_FF = x_KF.T @ x_KF / len(x_KF) + _RIDGE * torch.eye(x_KF.shape[1], dtype=torch.float64)
        weights_F = torch.linalg.solve(gram_FF, x_KF.T @ target_K / len(x_KF))
        scores_N2[fold_N == fold] = (unseen - mean_F) / std_F @ weights_F
    return auc(scores_N2[:, 0], scores_N2[:, 1]), count


def auc(low_N: Tensor, high_M: Tensor) -> float:
    """Probability that a score of the second set is above one of the first, ties counted half."""
    gap_MN = high_M[:, None] - low_N[None]
    return float(((gap_MN > 0).double() + 0.5 * (gap_MN == 0).double()).mean())
