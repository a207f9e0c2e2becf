"""Single draws of the roulette estimator, in NumPy. Each takes a fixed number of uniform numbers, so a seed repeats
them: three for A of shape (2, 2), and 1 + d for (d, d), or 2 + d where d is odd.

From the uniform numbers u_1, u_2, ... of one draw, with a_k = (-1)^(k+1) / k:

    N   the number of k with u_1 < P(N >= k)
    v   a probe, from u_2, u_3, ...                    (Box and Muller, 1958, for Gaussian ones)
    sum_{k<=N} a_k / P(N >= k) v'A^k v    the estimate of log det(I + A), in nats          (paper, Theorem 1)

With m exact traces it is sum_{k<=m} a_k tr(A^k) + sum_{m<k<=N} a_k / P(N >= k) v'A^k v, from the same N and v.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import NamedTuple

import numpy as np
import torch

from resflow_core import probes
from resflow_core.gradients import first_traces
from resflow_core.roulette import UNIFORM_STEP, Geometric, Law, Poisson, Tabulated, survival_table


class OfUniforms(NamedTuple):
    """A probe for each row of uniform numbers, u -> (n, d). It uses all numbers of the row but the first: d of them, or
    d + 1 where d is odd, on [0, 1). `shown` is the same as lines of a program that make v of u and d."""

    function: Callable[[np.ndarray, int], np.ndarray]
    shown: str


def _box_muller(u: np.ndarray, d: int) -> np.ndarray:
    """Independent standard normal numbers (Box and Muller 1958)."""
    return (np.sqrt(-2 * np.log(1 - u[:, 1::2])) * np.exp(2j * np.pi * u[:, 2::2])).view(float)[:, :d]


def _signs_from_uniforms(u: np.ndarray, d: int) -> np.ndarray:
    return np.where(u[:, 1 : d + 1] < 0.5, 1.0, -1.0)


def _sphere_from_uniforms(u: np.ndarray, d: int) -> np.ndarray:
    v = _box_muller(u, d)
    return np.sqrt(d) * v / np.linalg.norm(v, axis=1, keepdims=True)


_SHOWN_BOX_MULLER = "v = (np.sqrt(-2 * np.log(1 - u[:, 1::2])) * np.exp(2j * np.pi * u[:, 2::2])).view(float)[:, :d]"
_SHOWN_SIGNS = "v = np.where(u[:, 1 : d + 1] < 0.5, 1.0, -1.0)"
_SHOWN_SPHERE = f"{_SHOWN_BOX_MULLER}\nv = np.sqrt(d) * v / np.linalg.norm(v, axis=1, keepdims=True)"

OF_UNIFORMS: dict[Callable[..., torch.Tensor], OfUniforms] = {
    probes.gaussian: OfUniforms(_box_muller, _SHOWN_BOX_MULLER),
    probes.rademacher: OfUniforms(_signs_from_uniforms, _SHOWN_SIGNS),
    probes.sphere: OfUniforms(_sphere_from_uniforms, _SHOWN_SPHERE),
    probes.orthogonal: OfUniforms(_sphere_from_uniforms, _SHOWN_SPHERE),
}
"""By what fills a probe in `PROBES`."""


def _of_uniforms(probe: str) -> OfUniforms:
    return OF_UNIFORMS[probes.PROBES[probe].fill]


@dataclass(frozen=True, eq=False)
class Draws:
    """n draws: N, (n,) int64, the probes, (n, d), and the estimates in nats, (n,)."""

    n: np.ndarray
    probe: np.ndarray
    value: np.ndarray


def draw_estimates(
    matrix: np.ndarray, law: Law, probe: str, n: int, seed: int, start: int = 0, exact_traces: int = 0
) -> Draws:
    """The draws number `start`, ..., start + n - 1 of a seed, for A of shape (d, d). Each has a probe of its own.

    Raises KeyError if `PROBES` has no such probe.
    """
    terms, v = draw_terms_and_probes(law, probe, n, seed, start, len(matrix))
    return Draws(terms, v, values(matrix, law, terms, v, exact_traces))


def draw_terms_and_probes(
    law: Law, probe: str, n: int, seed: int, start: int = 0, dim: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """N, (n,) int64, and the probes, (n, dim), of the draws number `start`, ..., start + n - 1 of a seed.

    Raises KeyError if `PROBES` has no such probe.
    """
    each = uniform_numbers(dim)
    bits = np.random.PCG64(seed).advance(each * start)
    u = np.random.Generator(bits).random((n, each))
    terms = np.searchsorted(-survival_table(law, UNIFORM_STEP).numpy(), -u[:, 0])
    return terms, _of_uniforms(probe).function(u, dim)


def uniform_numbers(dim: int) -> int:
    """How many one draw takes: one for N, and an even number for the probe."""
    return 1 + dim + dim % 2


def values(matrix: np.ndarray, law: Law, n: np.ndarray, probe: np.ndarray, exact_traces: int = 0) -> np.ndarray:
    """The estimates in nats, (n,), for A, (d, d), and given N, (n,), and probes, (n, d)."""
    sums = weighted_sums(matrix, law, int(n.max(initial=0)), exact_traces)
    return traced(matrix, exact_traces) + forms(sums, n, probe)


def traced(matrix: np.ndarray, exact_traces: int) -> float:
    """sum_{k<=m} a_k tr(A^k) in nats, for A, (d, d)."""
    return float(first_traces(torch.from_numpy(np.asarray(matrix, float)), exact_traces))


def forms(s: np.ndarray, n: np.ndarray, probe: np.ndarray) -> np.ndarray:
    """v'S_N v, (n,), from S_0, S_1, ..., (1 + terms, d, d), for given N, (n,), and probes, (n, d)."""
    v, both = probe.T, s + s.mT  # entry by entry: no copy of a whole matrix for each draw
    form = s[n, -1, -1] * v[-1] ** 2
    for i in reversed(range(len(v) - 1)):
        row = s[n, i, i] * v[i]
        for j in range(i + 1, len(v)):
            row += both[n, i, j] * v[j]
        form += v[i] * row
    return form


def weighted_sums(matrix: np.ndarray, law: Law, n: int, exact_traces: int = 0) -> np.ndarray:
    """S_0, ..., S_n with S_i = sum_{k<=i} a_k / P(N >= k) A^k, for A, (d, d): (1 + n, d, d). The sums begin beyond the
    exact traces."""
    survival = law.survival(torch.arange(n + 1)).tolist()
    sums, power = [np.zeros_like(matrix, float)], np.eye(len(matrix))
    for k in range(1, n + 1):
        power = power @ matrix
        sums.append(sums[-1] - (k > exact_traces) * (-1) ** k / k / survival[k] * power)
    return np.array(sums)


@singledispatch
def numpy_survival(law: Law) -> str:
    """P(N >= k) as one line of NumPy to show. In it, `k` is an array of whole numbers from 1 on.

    A law without a formula of its own gives a table, down to the smallest step of a uniform float64.
    """
    table = survival_table(law, UNIFORM_STEP).tolist()
    return f"np.array({table})[k - 1]"


@numpy_survival.register
def _(law: Geometric) -> str:
    return f"(1 - {law.p!r}) ** np.maximum(0.0, k - {law.n_exact})"


@numpy_survival.register
def _(law: Poisson) -> str:
    chance = f"np.exp(-{law.lam}) * np.cumprod(np.r_[1.0, {law.lam} / np.arange(1, 150)])"
    return f"np.cumsum(({chance})[::-1])[::-1][np.maximum(0, k - {law.n_exact})]"


@numpy_survival.register
def _(law: Tabulated) -> str:
    n, table = len(law.table), [*map(float, law.table)]
    return f"np.array({table})[np.minimum(k, {n}) - 1] * {law.tail_ratio!r} ** np.maximum(0.0, k - {n})"


def snippet(matrix: np.ndarray, law: Law, probe: str, n: int, seed: int, exact_traces: int = 0) -> str:
    """The first n draws of a seed, for A of shape (d, d), as a program of at most 15 lines that needs only NumPy.

    Raises KeyError if `PROBES` has no such probe.
    """
    longest = len(survival_table(law, UNIFORM_STEP))
    traces = ["np.trace(A)", "- np.trace(A @ A) / 2"][:exact_traces]
    exact = "".join(f"{trace} " for trace in traces) + "+ " * bool(traces)
    unless_exact = f"(i >= {exact_traces}) * " if exact_traces else ""
    return f"""\
import numpy as np
A = np.array({np.asarray(matrix).tolist()})
draws, seed, d = {n}, {seed}, {len(matrix)}
k = np.arange(1, {longest + 1})
survival = {numpy_survival(law)}  # P(N >= k)
u = np.random.Generator(np.random.PCG64(seed)).random((draws, {uniform_numbers(len(matrix))}))
N = np.searchsorted(-survival, -u[:, 0])  # the number of k with u < P(N >= k)
{_of_uniforms(probe).shown}
terms = [{unless_exact}(-1) ** i / (i + 1) / survival[i] * np.linalg.matrix_power(A, i + 1) for i in range(N.max())]
sums = np.cumsum([np.zeros((d, d)), *terms], axis=0)
estimates = {exact}np.einsum("ti,tij,tj->t", v, sums[N], v)
print("mean", estimates.mean(), "standard error", estimates.std(ddof=1) / draws**0.5)
print("truth", np.linalg.slogdet(np.eye(d) + A)[1])
"""
