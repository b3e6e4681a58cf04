"""Kernel distances of rows that share their tasks, over bootstrap resamples of the tasks.

All rows answer the same captions with the same noise, so a task that is hard for one is hard for all: intervals of
differences come from resamples of the tasks that are the same in every row.
"""

import numpy as np
import torch

RESAMPLES = 2000
LEVEL = 0.95


def resamples(count, number=RESAMPLES):
    """How often each of `count` tasks is in each resample, (B, N); the first row is the sample itself."""
    drawn_BN = np.random.default_rng(11).multinomial(count, [1 / count] * count, size=number)
    return torch.from_numpy(np.concatenate([np.ones((1, count)), drawn_BN])).double()


def kernel_distances(features_NF, reference_MF, counts_BN):
    """Unbiased squared MMD (B,) under the kernel (x . y / F + 1)^3 of weighted tasks to a fixed reference.

    With all counts 1 it is `genir.metrics.features.kernel_distance`. Pairs of a task with itself count in no resample:
    they would add the same bias to every row.
    """
    x, r = features_NF.double(), reference_MF.double()
    own_NN = _kernel(x, x).fill_diagonal_(0)
    cross_N = _kernel(x, r).mean(1)
    reference = _kernel(r, r).fill_diagonal_(0).sum() / (len(r) * (len(r) - 1))
    total_B = counts_BN.sum(1)
    own_B = (counts_BN @ own_NN * counts_BN).sum(1) / (total_B.square() - counts_BN.square().sum(1))
    return own_B + reference - 2 * (counts_BN @ cross_N) / total_B


def interval(values_B):
    """(the sample's own value, lower and upper bound) of a statistic over resamples; what is not finite is left out."""
    own, drawn = float(values_B[0]), values_B[1:][torch.isfinite(values_B[1:])]
    tails = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=values_B.dtype)
    low, high = drawn.quantile(tails).tolist()
    return own, low, high


def _kernel(a_NF, b_MF):
    return (a_NF @ b_MF.T / a_NF.shape[1] + 1).pow(3)
