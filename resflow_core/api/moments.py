"""Moments of estimates for matrices as they come: NumPy arrays, lists or tensors, one or many."""

from typing import Any

import torch
from torch import Tensor

from resflow_core.api.choices import law_of, tensor_of
from resflow_core.estimators import moments
from resflow_core.estimators.moments import Remainders, Variance, log_det_remainders, spectral_radius
from resflow_core.probes import PROBES
from resflow_core.roulette import Law
from resflow_core.settings import told

# Terms of the series beyond which nothing that float64 can add is left, unless the spectral radius is very near 1.
FEWEST_TERMS, MOST_TERMS, SMALLEST = 60, 4_000, 1e-18


def roulette_variance(
    matrix: Any, law: "str | Law" = "geometric", probe: str = "gaussian", n_probes: int = 1, n_draws: int = 1
) -> Any:
    """The variance of one roulette estimate of log det(I + A), in nats^2, in closed form.

        V = V(probes) + 1/n_draws sum_n w_n E T_{n+1}^2            (`resflow_core.estimators.moments.variance`)

    Args:
        matrix: A, (d, d), or many, (..., d, d): an array, a list or a tensor. What `rf.log_det_remainders` gives is
            taken too, and its `Variance` is returned.
        law: of the number of terms N: a name or a value, e.g. `rf.Geometric(0.5)`, `rf.Poisson(2.0)`.
        probe: one of `PROBES`; n_probes, n_draws: probes and draws of N that are averaged.

    Returns:
        A number for one matrix, a tensor (...) for many. It is infinite if the law stops too early for the spectral
        radius rho of A (rho^2 > tail ratio), and NaN if that is undecided in float64.

    Raises:
        ValueError: for matrices that are not square or not finite, or with a spectral radius of 1 or more.

    Example:
        >>> import numpy as np, resflow_core as rf
        >>> round(rf.roulette_variance(np.array([[0.5, 0.3], [-0.2, 0.4]]), rf.Geometric()), 3)
        0.603
    """
    law = law_of(law)
    if probe not in PROBES:
        raise ValueError(f"probe = {told(probe)}: use one of {', '.join(PROBES)}.")
    for name, count in (("n_probes", n_probes), ("n_draws", n_draws)):
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ValueError(f"{name} = {told(count)}: use a whole number of at least 1.")
    if isinstance(matrix, Remainders):
        return moments.roulette_variance(matrix, law, probe, n_probes, n_draws)
    a = matrices_of(matrix)
    flat = a.reshape(-1, *a.shape[-2:])
    radius = float(spectral_radius(flat).max()) if len(flat) else 0.0
    terms = FEWEST_TERMS
    # The terms of the sum fall as (rho^2 / q)^n, if they fall.
    ratio = radius**2 / law.tail_ratio if law.tail_ratio else 0.0
    while terms < MOST_TERMS and ratio < 1 and max(ratio, radius) ** terms > SMALLEST:
        terms *= 2
    found: Variance = moments.roulette_variance(log_det_remainders(flat, terms), law, probe, n_probes, n_draws)
    total = found.total.view(a.shape[:-2])
    return float(total) if total.ndim == 0 else total


def matrices_of(values: Any) -> Tensor:
    """Square matrices, (..., d, d), float64, finite. Raises ValueError for all else."""
    a = tensor_of(values, "matrix").detach().cpu().to(torch.float64)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or not a.shape[-1]:
        raise ValueError(f"matrix has the shape {tuple(a.shape)}: pass square matrices, (d, d) or (..., d, d).")
    if not bool(a.isfinite().all()):
        raise ValueError("matrix has entries that are not finite.")
    return a
