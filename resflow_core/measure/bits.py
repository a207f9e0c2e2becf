"""Bits per dimension of held-out images, of a flow and of a Gaussian, the simplest density with correlations."""

import math

import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.data.digits import Digits, bits_per_dim
from resflow_core.flow import NormalizingFlow
from resflow_core.measure.estimate import Estimate, estimate_mean
from resflow_core.measure.evaluation import log_prob

# Images of a part. Each carries 64 tangents.
CHUNK = 48
# The Gaussian is fitted to this many noisy draws of every training image. The seed is that of the noise.
GAUSSIAN_DRAWS, GAUSSIAN_SEED = 20, 0


def held_out_bits(flow: NormalizingFlow, dataset: Digits, breathe: Breathe = without) -> Estimate:
    """Mean bits per dimension of a flow on held-out images, by the exact log det, with the standard error over images.

    In expectation, the mean is an upper bound of the bits of the discrete images: see `resflow_core.data.digits`.
    """
    log_probs = []
    for y in dataset.held_out().split(CHUNK):
        log_probs.append(log_prob(flow, y, breathe))
        breathe()
    return estimate_mean(bits_per_dim(torch.cat(log_probs), dataset.held_out_log_det))


def gaussian_bits(dataset: Digits) -> Estimate:
    """As `held_out_bits`, of the normal distribution with the mean and covariance of the training images' logits.

    It is the maximum-likelihood Gaussian, in closed form. With S = LL' and d dimensions:

        log N(y; m, S) = -(|L^-1 (y - m)|^2 + d log 2 pi) / 2 - sum log L_ii
    """
    noise = torch.Generator().manual_seed(GAUSSIAN_SEED)
    y = torch.cat([dataset.training_logits(noise) for _ in range(GAUSSIAN_DRAWS)])
    mean, factor = y.mean(0), torch.linalg.cholesky(torch.cov(y.T, correction=0))
    return estimate_mean(bits_per_dim(_normal(dataset.held_out().double(), mean, factor), dataset.held_out_log_det))


def _normal(y: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
    """log N(y; mean, factor factor') in nats, (batch, d) -> (batch,)."""
    whitened = torch.linalg.solve_triangular(factor, (y - mean).T, upper=False)
    return -0.5 * (whitened.square().sum(0) + y.shape[1] * math.log(2 * math.pi)) - factor.diagonal().log().sum()
