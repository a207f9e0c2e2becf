"""What is known of the data: how well their classes can be told at best, where, and how sure one may be far away."""

from functools import lru_cache

import numpy as np

from resflow_core.data import Dataset
from resflow_core.measure import Classification, Estimate, Far, circles, grid_points, mean_nll, optimal, summary

NODES = 80


@lru_cache(maxsize=16)
def best(dataset: Dataset) -> Classification | None:
    """Of Bayes' rule at the held-out points; None where p(x, y) is not known."""
    return dataset.joint and optimal(dataset.joint, dataset.held_out(), dataset.held_out_classes())


@lru_cache(maxsize=16)
def nll(dataset: Dataset) -> Estimate | None:
    """Of the true density at the held-out points, in nats: what flows are measured at, luck and all."""
    return dataset.truth and mean_nll(dataset.truth.log_prob(dataset.held_out()))


@lru_cache(maxsize=16)
def posterior(dataset: Dataset) -> np.ndarray:
    """p(y|x) over the window, (n, n, classes), NaN where p(x) is zero. For data of which it is known."""
    nodes = grid_points(dataset.window, NODES)
    return dataset.joint.log_posterior(nodes).exp().view(NODES, NODES, -1).numpy()


@lru_cache(maxsize=16)
def far(dataset: Dataset) -> Far | None:
    """Confidence and log density of the truth; None where it is not known, or zero outside of the data."""
    if dataset.joint is None:
        return None
    x = circles(dataset.window).flatten(0, 1)
    log_prob = dataset.truth.log_prob(x)
    if not bool(log_prob.isfinite().all()):
        return None
    confidence = dataset.joint.log_posterior(x).amax(1).exp()
    return summary(confidence, log_prob, dataset.truth.log_prob(dataset.held_out()))
