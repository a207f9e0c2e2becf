"""The inverse of a residual flow in the plane: block by block, for the points of a tile, by Newton's first step and
Broyden's from there.

It is `fixed_point.solve_broyden` with its certificate, but M starts as (I + A)^-1 at x = z instead of the identity.
With f(x) = x + g(x), r = z - f(x) and a step s that changed r by -y,

    x <- x + M r,   M <- M + (s - M y) s'M / s'M y.
"""

import math

import numpy as np
from numba import njit

from resflow_core.fast.broyden import USUAL_ULPS
from resflow_core.fast.kernel import block
from resflow_core.fast.kernel.activations import ONE, ZERO
from resflow_core.fast.kernel.block import determinant
from resflow_core.fast.kernel.numbers import OPTIONS, float32
from resflow_core.fast.kernel.whole_flow import load
from resflow_core.fixed_point import MOST_ULPS

EPSILON = float32(np.finfo(np.float32).eps)
FINITE = float32(1e30)
USUAL, MOST = float32(USUAL_ULPS), float32(MOST_ULPS)


@njit(**OPTIONS)
def inverse(kind, z, of, bounds, tolerance, x, room):
    """Fill x, (batch, 2), with the points that go to z, and return how many are not certified. `bounds` are the L of
    the blocks, (n,) float32, all below 1; each block adds at most max(tolerance, 8 eps (1 + ||x||) / (1 - L))."""
    blocks, batch, size = len(of.beta), len(z), room.p.shape[1]
    entry, jacobian, p, h, k, c = room.entry[0], room.jacobian[0], room.p, room.h[0], room.k[0], room.c[0]
    here, there = np.empty((2, size), np.float32), np.empty((2, size), np.float32)
    target, at = np.empty((2, size), np.float32), np.empty((2, size), np.float32)
    r, step, m = np.empty((2, size), np.float32), np.empty((2, size), np.float32), np.empty((4, size), np.float32)
    left, farthest = np.empty(size, np.float32), np.empty(size, np.float32)
    arrived, helped = np.empty(size, np.bool_), np.empty(size, np.bool_)
    good = np.empty(size, np.bool_)
    as_it_is, unmoved = np.ones(2, np.float32), np.zeros(2, np.float32)
    failed = 0
    for start in range(0, batch, size):
        load(z, start, here)
        _unnormalised(of.scales[blocks], of.shifts[blocks], here)
        good[:] = True
        for n in range(blocks - 1, -1, -1):
            lipschitz, beta = bounds[n], of.beta[n]
            least = tolerance * (ONE - lipschitz)
            largest = ZERO
            for i in range(size):
                target[0, i], target[1, i] = here[0, i], here[1, i]
                at[0, i], at[1, i] = here[0, i], here[1, i]
            block.forward(
                kind, beta, as_it_is, unmoved, of.first[n], of.first_b[n], of.middle[n], of.middle_b[n],
                of.last[n], of.last_b[n], at, entry, p, h, k, c, room.arrive[0], room.leave[0], jacobian,
            )  # fmt: skip
            for i in range(size):
                r0, r1 = target[0, i] - at[0, i], target[1, i] - at[1, i]
                r[0, i], r[1, i], left[i] = r0, r1, _size(r0, r1)
                farthest[i] = _size(target[0, i], target[1, i]) + left[i] / (ONE - lipschitz)
                largest = max(largest, left[i] / _goal(MOST, least, here[0, i], here[1, i], farthest[i]))
                m00, m01, m10, m11, det = determinant(beta, entry, jacobian, i)
                m[0, i], m[1, i], m[2, i], m[3, i] = m11 / det, -m01 / det, -m10 / det, m00 / det
                helped[i] = True
            for _ in range(2 * _steps_needed(largest, lipschitz)):
                remaining = 0
                for i in range(size):
                    usual = left[i] <= _goal(USUAL, least, here[0, i], here[1, i], farthest[i])
                    enough = left[i] <= _goal(MOST, least, here[0, i], here[1, i], farthest[i])
                    arrived[i] = usual or (enough and not helped[i])
                    remaining += not arrived[i]
                    step[0, i], step[1, i] = r[0, i], r[1, i]
                    if helped[i]:
                        step[0, i] = m[0, i] * r[0, i] + m[1, i] * r[1, i]
                        step[1, i] = m[2, i] * r[0, i] + m[3, i] * r[1, i]
                    there[0, i], there[1, i] = here[0, i] + step[0, i], here[1, i] + step[1, i]
                    at[0, i], at[1, i] = there[0, i], there[1, i]
                if remaining == 0:
                    break
                block.value(
                    kind, beta, of.first[n], of.first_b[n], of.middle[n], of.middle_b[n], of.last[n], of.last_b[n],
                    at, entry, p, h[0], k[0], c[0],
                )  # fmt: skip
                for i in range(size):
                    if arrived[i]:
                        continue
                    r0, r1 = target[0, i] - at[0, i], target[1, i] - at[1, i]
                    _update(m, i, step[0, i], step[1, i], r[0, i] - r0, r[1, i] - r1)
                    now, is_banach = _size(r0, r1), not helped[i]
                    helped[i] = now <= lipschitz * left[i]
                    if helped[i] or is_banach:
                        here[0, i], here[1, i], r[0, i], r[1, i], left[i] = there[0, i], there[1, i], r0, r1, now
            for i in range(size):
                good[i] &= left[i] <= _goal(MOST, least, here[0, i], here[1, i], farthest[i])
            _unnormalised(of.scales[n], of.shifts[n], here)
        for i in range(min(size, batch - start)):
            x[start + i, 0], x[start + i, 1] = here[0, i], here[1, i]
            failed += not good[i]
    return failed


@njit(inline="always", **OPTIONS)
def _unnormalised(scale, shift, at):
    for d in range(2):
        for i in range(at.shape[1]):
            at[d, i] = (at[d, i] - shift[d]) / scale[d]


@njit(inline="always", **OPTIONS)
def _size(x0, x1):
    return math.sqrt(x0 * x0 + x1 * x1)


@njit(inline="always", **OPTIONS)
def _update(m, i, s0, s1, y0, y1):
    """Broyden's update of the i-th M, unless it is not finite."""
    p0, p1 = m[0, i] * y0 + m[1, i] * y1, m[2, i] * y0 + m[3, i] * y1
    row0, row1 = s0 * m[0, i] + s1 * m[2, i], s0 * m[1, i] + s1 * m[3, i]
    c0, c1 = (s0 - p0) / (s0 * p0 + s1 * p1), (s1 - p1) / (s0 * p0 + s1 * p1)
    if abs(c0 * row0) + abs(c0 * row1) + abs(c1 * row0) + abs(c1 * row1) < FINITE:
        m[0, i] += c0 * row0
        m[1, i] += c0 * row1
        m[2, i] += c1 * row0
        m[3, i] += c1 * row1


@njit(inline="always", **OPTIONS)
def _goal(ulps, least, x0, x1, farthest):
    """As `StopRule.goal`."""
    return max(ulps * EPSILON * (ONE + min(_size(x0, x1), farthest)), least)


@njit(inline="always", **OPTIONS)
def _steps_needed(ratio, lipschitz):
    """As `StopRule.steps_needed`, for the largest ratio of residual and goal."""
    if not ratio < FINITE:  # of a point that is not finite: it is not certified
        return 5
    return 5 + math.ceil(math.log(max(ratio, ONE)) / -math.log(max(lipschitz, float32(1e-3))))
