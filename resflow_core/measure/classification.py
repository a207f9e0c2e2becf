"""The knowledge of a hybrid's classifier on data, on a grid, and far from all data."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.data import Labels, Window
from resflow_core.hybrid import Hybrid
from resflow_core.measure.estimate import Estimate, estimate_mean
from resflow_core.measure.evaluation import log_prob
from resflow_core.measure.pictures import grid_points
from resflow_core.measure.reliability import Reliability, reliability

# Radii of circles around the window's middle, in halves of its side. The last circle is four windows away.
DISTANCES = np.concatenate([np.linspace(0.125, 1.0, 8), np.linspace(1.25, 8.0, 28)])
DIRECTIONS = 48
USUAL_SHARE = 0.99


@dataclass(frozen=True)
class Classification:
    """A classifier on labelled points: accuracy as a share, NLL in nats."""

    accuracy: Estimate  # with the binomial standard error
    nll: Estimate  # mean of -log p(y|x)
    reliability: Reliability


@dataclass(frozen=True)
class Far:
    """Means, minima and maxima over circles around the window's middle, (circles,) each."""

    distance: np.ndarray  # radius, in halves of the window's side
    confidence: np.ndarray  # max_y p(y|x)
    least_confidence: np.ndarray
    log_prob: np.ndarray  # log p(x), nats
    largest_log_prob: np.ndarray
    usual_log_prob: float  # 99 % of the held-out points have a larger log density


@torch.no_grad()
def log_class_probs(hybrid: Hybrid, x: Tensor) -> Tensor:
    """log p(y|x) in nats for every class, (batch, 2) -> (batch, classes)."""
    return hybrid.log_class_probs(x.to(next(hybrid.parameters()))).cpu()


def classification(log_probs: Tensor, y: Tensor) -> Classification:
    """The `Classification` from log p(y|x) for every class, (n, classes), and the true classes, (n,).

    Raises ValueError if a probability is NaN, and ZeroDivisionError without points.
    """
    log_probs = log_probs.double()
    top, named = log_probs.max(1)
    right = named == y
    share = float(right.double().mean())
    return Classification(
        Estimate(share, (share * (1 - share) / len(y)) ** 0.5),
        estimate_mean(-log_probs.gather(1, y[:, None])[:, 0]),
        reliability(top.exp().clamp(max=1), right),
    )


def optimal(joint: Labels, x: Tensor, y: Tensor) -> Classification:
    """The `Classification` of the true p(y|x). On average no classifier has a higher accuracy or lower NLL."""
    return classification(joint.log_posterior(x), y)


def class_grid(hybrid: Hybrid, window: Window, n: int) -> np.ndarray:
    """p(y|x) at `grid_points`, (n, n, classes): row = y ascending, column = x ascending."""
    return log_class_probs(hybrid, grid_points(window, n)).exp().view(n, n, -1).numpy()


def circles(window: Window) -> Tensor:
    """Points on circles around the window's middle, (circles, directions, 2)."""
    middle = torch.tensor([(low + high) / 2 for low, high in window])
    half = (window[0][1] - window[0][0]) / 2
    angles = torch.arange(DIRECTIONS) * (2 * torch.pi / DIRECTIONS)
    directions = torch.stack([angles.cos(), angles.sin()], 1)
    return middle + half * torch.from_numpy(DISTANCES).float()[:, None, None] * directions


def far(hybrid: Hybrid, window: Window, held_out: Tensor, breathe: Breathe = without) -> Far:
    """Confidence and log density (nats) from the data outwards.

    `held_out` are held-out points, (n, 2).
    """
    x = circles(window).flatten(0, 1)
    confidence = log_class_probs(hybrid, x).amax(1).exp()
    breathe()
    log_probs = log_prob(hybrid.flow, x, breathe)
    breathe()
    return summary(confidence, log_probs, log_prob(hybrid.flow, held_out, breathe))


def summary(confidence: Tensor, log_prob: Tensor, held_out_log_prob: Tensor) -> Far:
    """The `Far` from confidence and log density (nats) at all `circles`, in their order, and the log density at
    held-out points, (n,).
    """
    usual = float(held_out_log_prob.double().quantile(1 - USUAL_SHARE))
    confidence, log_prob = (part.double().view(-1, DIRECTIONS).numpy() for part in (confidence, log_prob))
    return Far(DISTANCES, confidence.mean(1), confidence.min(1), log_prob.mean(1), log_prob.max(1), usual)
