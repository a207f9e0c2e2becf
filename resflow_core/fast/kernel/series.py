"""The log det of a block at the points of a tile from their A, 2 x 2, by the series of `resflow_core.gradients` with
what was drawn, and the matrices M with tr(M dA) its gradient. The sums are those of `value_from` and `matrix_from`, by
a vector for each probe:

    u'_0 = v',  u'_k = u'_{k-1} A,      estimate = sum_k a_k u'_k v,
    M = v sum_k b_k u'_k                by Theorem 2, or term by term
    M = sum_k a_k T_k,  T_0 = 0,  T_{k+1} = A T_k + v u'_k.

Exact traces have the coefficient 0 in these sums, and add a_1 tr A + a_2 tr A^2, and b_0 I + b_1 A to M.

All points of a tile take as many terms as the longest of them, the others with the weight 0: a processor works on eight
points at once.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from resflow_core.fast.kernel.activations import ONE, ZERO
from resflow_core.fast.kernel.numbers import OPTIONS

float32 = np.float32
EXACT, NEUMANN, TERM_BY_TERM = range(3)


class Series(NamedTuple):
    """How the log det is computed, and what was drawn for it; all but `method` are empty where it is exact."""

    method: int
    probes: np.ndarray  # (blocks, n_probes, batch, 2), float32
    u: np.ndarray  # (blocks, batch or 1, n_draws), float64: N is how many k there are with u < P(N >= k)
    survival: np.ndarray  # (1 + terms,), float64: P(N >= k), up to the largest N that is ever drawn
    value: np.ndarray  # (1 + terms,), float32: a_k / P(N >= k)
    slope: np.ndarray  # (1 + terms,), float32: b_k / P(N >= k)
    exact_traces: int  # 0, 1 or 2


NONE = np.empty(0, np.float32)
NO_SERIES = Series(EXACT, np.empty((0, 0, 0, 2), np.float32), np.empty((0, 0, 0)), np.empty(0), NONE, NONE, 0)


# Rows of the room for a tile: A, v, u and the next u, sum_k b_k u_k, a weight; and, term by term, T and the next T.
A, V, U, NEXT_U, W, SHARE, T, NEXT_T = 0, 4, 6, 8, 10, 12, 13, 17
ROWS = 21


@njit(inline="never", **OPTIONS)
def estimates(series, block, start, total, pull, room, reach):
    """Add the estimates of a block, whose A are the first rows of `room`, (ROWS, size), to `total`, (size,), and fill
    `pull`, (4, size), with their gradients in A, which are M transposed: of the points of a tile that begins with
    `start`. `reach`, (n_draws, size), is overwritten.

    Each loop over the points writes one row: of more the compiler cannot tell that they are no others' memory.
    """
    size, probes = len(total), series.probes.shape[1]
    v0, v1, w0, w1, share = room[V], room[V + 1], room[W], room[W + 1], room[SHARE]
    of_each = ONE / float32(probes)
    every, most = _load(series, block, start, reach)
    pull.fill(ZERO)
    if series.exact_traces > 0:
        _add_traces(series.exact_traces, room[A : A + 4], total, pull)
    for p in range(probes):
        drawn, first = series.probes[block, p], of_each * series.slope[0]
        for i in range(size):
            point = min(start + i, len(drawn) - 1)
            v0[i], v1[i] = drawn[point, 0], drawn[point, 1]
        u0, u1, next0, next1 = room[U], room[U + 1], room[NEXT_U], room[NEXT_U + 1]
        _scaled(ONE, v0, u0)
        _scaled(ONE, v1, u1)
        _scaled(first, v0, w0)
        _scaled(first, v1, w1)
        t, next_t = room[T : T + 4], room[NEXT_T : NEXT_T + 4]
        if series.method == TERM_BY_TERM:
            t.fill(ZERO)
        for k in range(1, most + 1):
            if k == 1 or k > every:
                _share(reach, series.survival[k], share)
            a, b = of_each * series.value[k], of_each * series.slope[k]
            if series.method == TERM_BY_TERM:
                for c in range(4):
                    row, column = c // 2, c % 2
                    left, right = room[A + 2 * row], room[A + 2 * row + 1]
                    _next_t(left, t[column], right, t[2 + column], room[V + row], u0 if column == 0 else u1, next_t[c])
                    _weighted(a, share, next_t[c], pull[2 * column + row])
                t, next_t = next_t, t
            _sum_of_two(room[A], u0, room[A + 2], u1, next0)
            _sum_of_two(room[A + 1], u0, room[A + 3], u1, next1)
            u0, u1, next0, next1 = next0, next1, u0, u1
            for i in range(size):
                total[i] += a * share[i] * (u0[i] * v0[i] + u1[i] * v1[i])
            if series.method == NEUMANN:
                _weighted(b, share, u0, w0)
                _weighted(b, share, u1, w1)
        if series.method == NEUMANN:
            for c in range(4):
                _weighted(ONE, room[W + c // 2], room[V + c % 2], pull[c])


@njit(inline="always", **OPTIONS)
def _add_traces(exact_traces, of, total, pull):
    """tr A, and of two - tr A^2 / 2, to `total`, and I, and of two - A, transposed to `pull`, which is 0."""
    a, b, c, d = of[0], of[1], of[2], of[3]
    half = float32(0.5)
    for i in range(len(total)):
        total[i] += a[i] + d[i]
    pull[0].fill(ONE)
    pull[3].fill(ONE)
    if exact_traces > 1:
        for i in range(len(total)):
            total[i] -= half * (a[i] * a[i] + d[i] * d[i]) + b[i] * c[i]
        for k in range(4):
            entry, onto = of[k], pull[2 * (k % 2) + k // 2]
            for i in range(len(total)):
                onto[i] -= entry[i]


@njit(inline="always", **OPTIONS)
def _scaled(factor, of, out):
    for i in range(len(out)):
        out[i] = factor * of[i]


@njit(inline="always", **OPTIONS)
def _sum_of_two(a, x, b, y, out):
    for i in range(len(out)):
        out[i] = a[i] * x[i] + b[i] * y[i]


@njit(inline="always", **OPTIONS)
def _next_t(a, x, b, y, v, u, out):
    for i in range(len(out)):
        out[i] = a[i] * x[i] + b[i] * y[i] + v[i] * u[i]


@njit(inline="always", **OPTIONS)
def _weighted(factor, share, of, out):
    for i in range(len(out)):
        out[i] += factor * share[i] * of[i]


@njit(inline="always", **OPTIONS)
def _load(series, block, start, reach):
    """Fill `reach` with each u of the points of a tile, and return the smallest and the largest N."""
    least, greatest, u = 1.0, 0.0, series.u[block]
    for j in range(len(reach)):
        for i in range(reach.shape[1]):
            reach[j, i] = u[min(start + i, len(u) - 1), j]
            least, greatest = min(least, reach[j, i]), max(greatest, reach[j, i])
    return _terms(series.survival, greatest), _terms(series.survival, least)


@njit(inline="always", **OPTIONS)
def _terms(survival, u):
    n = 0
    while n + 1 < len(survival) and u < survival[n + 1]:
        n += 1
    return n


@njit(inline="always", **OPTIONS)
def _share(reach, survival, share):
    """The share of the draws of each point that reach a term, to which this is the chance."""
    size, of_each = len(share), ONE / float32(len(reach))
    for i in range(size):
        share[i] = of_each if reach[0, i] < survival else ZERO
    for j in range(1, len(reach)):
        for i in range(size):
            share[i] += of_each if reach[j, i] < survival else ZERO
