"""The reliability of a classifier: how well its confidence agrees with its accuracy."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Points sorted by confidence into bins of equal width. The entries of an empty bin are NaN.

    For a calibrated classifier, the accuracy of a bin equals its confidence, up to `standard_error`.
    """

    edges: np.ndarray  # (bins + 1,), from 0 to 1
    counts: np.ndarray  # (bins,) int64
    confidence: np.ndarray  # (bins,), mean over the bin
    accuracy: np.ndarray  # (bins,), the share of correct points in the bin
    standard_error: np.ndarray  # (bins,), of the accuracy, for a calibrated classifier
    ece: float  # the expected calibration error
    noise: float  # the ECE that a calibrated classifier with these confidences has on average


def reliability(confidence: Tensor, correct: Tensor, bins: int = BINS) -> Reliability:
    """The reliability curve and the expected calibration error of n points; `confidence` and `correct` have shape (n,).

    ECE = sum_b n_b / n |accuracy_b - confidence_b| (Guo et al. 2017, equation 3, after Naeini et al. 2015). The upper
    end of a bin belongs to it.

    The ECE is never negative, so noise alone raises it. Suppose that point i is right with probability c_i. Then
    accuracy_b - confidence_b has the variance sum_i c_i (1 - c_i) / n_b^2. `noise` is the ECE of normal deviates of
    this variance s^2, by E|N(0, s^2)| = s sqrt(2 / pi).

    Raises ValueError without points, or if a confidence is not in [0, 1].
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
