"""Moments at every node of a grid over the plane, for one block or for the whole flow."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from app.estimates.hashed_jacobians import HashedJacobians
from resflow_core.estimators.forms import Quadratic, form_of
from resflow_core.estimators.moments import believed_log_det, log_det_remainders, roulette_noise, spectral_radius
from resflow_core.gradients import log_series
from resflow_core.log_det import Truncated, residual_log_det

if TYPE_CHECKING:
    from app.estimates.settings import Bench

# After these, the deviation lacks at most a thirtieth wherever rho^2 < 0.95 q, and mostly far less.
TERMS = 128
CHUNK = 2500


@dataclass(frozen=True, eq=False)
class Field:
    """Of the nodes, (n * n,) each: x fastest, y ascending; float64."""

    value: np.ndarray  # what is drawn: NaN where it is infinite
    infinite: np.ndarray  # bool
    radius: np.ndarray  # rho, of the flow the largest of its blocks
    leading: np.ndarray  # the block, from 0, that has it
    eigenvalues: np.ndarray  # (n * n, 2) complex, of that block's A, the larger first
    series_error: np.ndarray  # (n * n, 2): Re(sum_{k<=n} a_k lambda^k - log(1 + lambda))


def field(of: HashedJacobians, bench: "Bench") -> Field:
    """The map of `bench.map` for its block, 1, 2, ..., or the whole flow, 0."""
    jacobians = _grid(of, bench.block)
    radius = spectral_radius(jacobians)
    largest, leading = radius.max(0)
    value = MAPS[bench.map].values(of, bench, jacobians, largest)
    own = jacobians.gather(0, leading.view(1, -1, 1, 1).expand(1, -1, 2, 2))[0].numpy()
    eigenvalues = np.linalg.eigvals(own).astype(complex)  # where all are real, so is what NumPy gives
    eigenvalues = np.take_along_axis(eigenvalues, np.argsort(-np.abs(eigenvalues), axis=1, kind="stable"), 1)
    first = max(bench.block - 1, 0)
    infinite = value.isinf()
    return Field(
        torch.where(infinite, torch.nan, value).numpy(),
        infinite.numpy(),
        largest.numpy(),
        leading.numpy() + first,
        eigenvalues,
        series_error(eigenvalues, bench.n_terms),
    )


def series_error(eigenvalue: np.ndarray, n_terms: int) -> np.ndarray:
    """Re(sum_{k<=n} a_k lambda^k - log(1 + lambda)): where a truncated loss flatters itself, it is positive."""
    coefficients = log_series(n_terms).numpy()
    return (np.polynomial.polynomial.polyval(eigenvalue, coefficients) - np.log1p(eigenvalue)).real


@dataclass(frozen=True)
class Map:
    title: str
    name: str
    unit: str
    values: Callable[[HashedJacobians, "Bench", Tensor, Tensor], Tensor]
    diverging: bool = False


def _deviation(of: HashedJacobians, bench: "Bench", jacobians: Tensor, radius: Tensor) -> Tensor:
    """Of one estimate by roulette."""
    quadratic = _quadratic(of, bench.block, bench.exact_traces)
    noise = form_of(bench.probe).variance(quadratic, bench.n_probes)
    roulette = roulette_noise(bench.law, noise + quadratic.trace_squared, radius)
    return (noise[0] + roulette.nan_to_num(torch.inf, torch.inf) / bench.n_draws).sqrt()


def _bias(of: HashedJacobians, bench: "Bench", jacobians: Tensor, radius: Tensor) -> Tensor:
    """Of the truncated series."""
    flat = jacobians.flatten(0, 1)
    error = believed_log_det(Truncated(bench.n_terms), flat) - residual_log_det(flat)
    return error.view(jacobians.shape[:2]).sum(0)


def _radius(of: HashedJacobians, bench: "Bench", jacobians: Tensor, radius: Tensor) -> Tensor:
    return radius


MAPS: dict[str, Map] = {
    "deviation": Map("Standard deviation of the roulette", "standard deviation", "nats", _deviation),
    "bias": Map("Bias of the truncated series", "bias", "nats", _bias, diverging=True),
    "radius": Map("Spectral radius", "largest ρ", "ρ", _radius),
}


@lru_cache(maxsize=8)
def _grid(of: HashedJacobians, block: int) -> Tensor:
    """(blocks, n * n, 2, 2), float64; of one block, or of all."""
    grid = of.jacobians.grid
    return torch.as_tensor(grid[block - 1 : block] if block else grid).double()


@lru_cache(maxsize=8)
def _quadratic(of: HashedJacobians, block: int, exact_traces: int) -> Quadratic:
    """Of what is estimated of the remainders at every node, the sum over the blocks: (1 + TERMS, n * n)."""
    chunks = []
    for part in _grid(of, block).split(CHUNK, 1):
        first, *others = (log_det_remainders(a, TERMS, exact_traces).quadratic for a in part)
        chunks.append(sum(others, first))
    return Quadratic(*(torch.cat(parts, 1) for parts in zip(*(c.parts for c in chunks), strict=True)), 2)
