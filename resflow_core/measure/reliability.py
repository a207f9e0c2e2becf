"""Does a classifier's confidence say how often it is right?"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Points sorted by confidence into bins of equal width; NaN where a bin is empty.

    For a calibrated classifier the accuracy of a bin is its confidence, up to `standard_error`.
    """

    edges: np.ndarray  # (bins + 1,), from 0 to 1
    counts: np.ndarray  # (bins,) int64
    confidence: np.ndarray  # (bins,), mean over the bin
    accuracy: np.ndarray  # (bins,), share of the bin that is right
    standard_error: np.ndarray  # (bins,), of the accuracy, were the classifier calibrated
    ece: float
    noise: float  # the ECE that a calibrated classifier with these confidences has on average


def reliability(confidence: Tensor, correct: Tensor, bins: int = BINS) -> Reliability:
    """The reliability curve and the expected calibration error of n points, both tensors (n,).

    ECE = sum_b n_b / n |accuracy_b - confidence_b| (Guo et al. 2017, equation 3, after Naeini et al. 2015),
    bins closed above. It is never negative, so that noise alone raises it: were the i-th point right with probability
    c_i, accuracy_b - confidence_b would have the variance sum_i c_i (1 - c_i) / n_b^2, and `noise` is the ECE of normal
    deviates of that size, E|N(0, s^2)| = s sqrt(2 / pi).

    Raises ValueError without points, or for confidences that do not lie in [0, 1].
    """
    c, right = confidence.double(), correct.double()
    if len(c) == 0 or not bool(((c >= 0) & (c <= 1)).all()):
        raise ValueError("confidence: give at least one point, and values from 0 to 1.")
    place = (c * bins).ceil().long().clamp(1, bins) - 1

    def summed(values: Tensor) -> Tensor:
        return torch.zeros(bins, dtype=torch.float64).index_add(0, place, values)

    counts = summed(torch.ones_like(c))
    mean_confidence, accuracy = summed(c) / counts, summed(right) / counts
    deviation = summed(c * (1 - c)).sqrt() / counts
    weights = counts / len(c)

    def expected(gaps: Tensor) -> float:
        return float((weights * gaps)[counts > 0].sum())

    return Reliability(
        np.linspace(0, 1, bins + 1),
        counts.long().numpy(),
        mean_confidence.numpy(),
        accuracy.numpy(),
        deviation.numpy(),
        expected((accuracy - mean_confidence).abs()),
        expected(deviation * math.sqrt(2 / math.pi)),
    )
