"""Single draws of the roulette estimator, in NumPy. Each takes three uniform numbers, so a seed repeats them.

From the uniform numbers u_1, u_2, u_3 of one draw, with a_k = (-1)^(k+1) / k:

    N   the number of k with u_1 < P(N >= k)
    v   a probe in the plane, from u_2 and u_3
    sum_{k<=N} a_k / P(N >= k) v'A^k v    the estimate of log det(I + A), in nats          (paper, Theorem 1)
"""

import inspect
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
import torch

from resflow_core.probes import PROBES
from resflow_core.roulette import UNIFORM_STEP, Geometric, Law, Poisson, Tabulated, survival_table


@dataclass(frozen=True, eq=False)
class Draws:
    """n draws: N, (n,) int64, the probes, (n, 2), and the estimates in nats, (n,)."""

    n: np.ndarray
    probe: np.ndarray
    value: np.ndarray


def draw_estimates(matrix: np.ndarray, law: Law, probe: str, n: int, seed: int, start: int = 0) -> Draws:
    """The draws number `start`, ..., start + n - 1 of a seed, for A of shape (2, 2). Each has a probe of its own.

    Raises KeyError if `PROBES` has no such probe.
    """
    terms, v = draw_terms_and_probes(law, probe, n, seed, start)
    return Draws(terms, v, values(matrix, law, terms, v))


def draw_terms_and_probes(law: Law, probe: str, n: int, seed: int, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """N, (n,) int64, and the probes, (n, 2), of the draws number `start`, ..., start + n - 1 of a seed.

    Raises KeyError if `PROBES` has no such probe.
    """
    bits = np.random.PCG64(seed).advance(3 * start)
    u = np.random.Generator(bits).random((n, 3))
    terms = np.searchsorted(-survival_table(law, UNIFORM_STEP).numpy(), -u[:, 0])
    return terms, PROBES[probe].by_hand(u, np).T


def values(matrix: np.ndarray, law: Law, n: np.ndarray, probe: np.ndarray) -> np.ndarray:
    """The estimates in nats, (n,), for A, (2, 2), and given N, (n,), and probes, (n, 2)."""
    return forms(weighted_sums(matrix, law, int(n.max(initial=0))), n, probe)


def forms(s: np.ndarray, n: np.ndarray, probe: np.ndarray) -> np.ndarray:
    """v'S_N v, (n,), from S_0, S_1, ..., (1 + terms, 2, 2), for given N, (n,), and probes, (n, 2)."""
    diagonal_1, diagonal_2, off = s[n, 0, 0], s[n, 1, 1], (s[:, 0, 1] + s[:, 1, 0])[n]
    v_1, v_2 = probe.T
    return v_1 * (diagonal_1 * v_1 + off * v_2) + diagonal_2 * v_2**2


def weighted_sums(matrix: np.ndarray, law: Law, n: int) -> np.ndarray:
    """S_0, ..., S_n with S_m = sum_{k<=m} a_k / P(N >= k) A^k, for A, (2, 2): (1 + n, 2, 2)."""
    survival = law.survival(torch.arange(n + 1)).tolist()
    sums, power = [np.zeros((2, 2))], np.eye(2)
    for k in range(1, n + 1):
        power = power @ matrix
        sums.append(sums[-1] - (-1) ** k / k / survival[k] * power)
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


def snippet(matrix: np.ndarray, law: Law, probe: str, n: int, seed: int) -> str:
    """The first n draws of a seed, for A of shape (2, 2), as a program of at most 15 lines that needs only NumPy.

    Raises KeyError if `PROBES` has no such probe.
    """
    longest = len(survival_table(law, UNIFORM_STEP))
    v = inspect.getsource(PROBES[probe].by_hand).split("return ")[1].strip()
    return f"""\
import numpy as np
A = np.array({np.asarray(matrix).tolist()})
draws, seed = {n}, {seed}
k = np.arange(1, {longest + 1})
survival = {numpy_survival(law)}  # P(N >= k)
u = np.random.Generator(np.random.PCG64(seed)).random((draws, 3))
N = np.searchsorted(-survival, -u[:, 0])  # the number of k with u < P(N >= k)
v = {v}
sums, power = [np.zeros((2, 2))], np.eye(2)
for i in range(N.max()):
    power = power @ A
    sums.append(sums[-1] + (-1) ** i / (i + 1) / survival[i] * power)
estimates = np.einsum("it,tij,jt->t", v, np.array(sums)[N], v)
print("mean", estimates.mean(), "standard error", estimates.std(ddof=1) / draws**0.5)
print("truth", np.linalg.slogdet(np.eye(2) + A)[1])
"""
