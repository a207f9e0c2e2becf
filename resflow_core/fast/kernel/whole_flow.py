"""A whole residual flow in the plane, tile by tile: its loss, or another one, with the gradient, and its values alone.

Log dets are summed as the logarithm of the product of a few determinants, which saves most of the logarithms. `room` is
a `Workspace` of all blocks where there is a gradient, else of one.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from resflow_core.fast.kernel import block
from resflow_core.fast.kernel.activations import HALF, ONE, ZERO
from resflow_core.fast.kernel.block import determinant, residual_jacobian
from resflow_core.fast.kernel.numbers import OPTIONS, log
from resflow_core.fast.kernel.series import EXACT, ROWS, A, estimates

float32 = np.float32
FACTORS = 4
"""Determinants of one product: with L below 1 each is from 0 to 4, and none is so small that float32 loses it."""


class Arrays(NamedTuple):
    """The folded weights of n blocks with hidden layers of one width, or their gradients; all float32, contiguous."""

    beta: np.ndarray  # (n,)
    scales: np.ndarray  # (n + 1, 2), of ActNorm: before each block and after the last
    shifts: np.ndarray  # (n + 1, 2)
    first: np.ndarray  # (n, width, 2)
    first_b: np.ndarray  # (n, width)
    middle: np.ndarray  # (n, layers - 1, width, width)
    middle_b: np.ndarray  # (n, layers - 1, width)
    last: np.ndarray  # (n, 2, width)
    last_b: np.ndarray  # (n, 2)


@njit(**OPTIONS)
def gradients(kind, x, share, d_z, d_log_det, of, series, gradient, d_x, room):
    """Of points x, (batch, 2): `share` times the sum of |z|^2 / 2 - sum_i log|det(I + A_i)|, by `series` and exactly.
    The gradient of the first is added to `gradient`; that of another loss, if `d_z`, (batch, 2), and `d_log_det`,
    (batch,), are not empty but its gradients. `d_x`, (batch, 2), is filled with the gradient in x, unless it is
    empty."""
    blocks, batch, size = len(of.beta), len(x), room.p.shape[1]
    at, d_a, d_room = np.empty((2, size), np.float32), np.empty((4, size), np.float32), np.empty((8, size), np.float32)
    log_det, product, weight = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    estimate, of_series = np.empty(size, np.float32), np.empty((ROWS, size), np.float32)
    reach = np.empty((series.u.shape[2], size))
    pull = np.empty((0 if series.method == EXACT else blocks, 4, size), np.float32)
    share, loss, nll = float32(share), 0.0, 0.0
    for start in range(0, batch, size):
        load(x, start, at)
        for i in range(size):
            weight[i] = ZERO if start + i >= batch else -d_log_det[start + i] if len(d_log_det) else share
        for i in range(size):
            log_det[i], estimate[i], product[i] = ZERO, ZERO, ONE
        for n in range(blocks):
            block.forward(
                kind, of.beta[n], of.scales[n], of.shifts[n], of.first[n], of.first_b[n], of.middle[n], of.middle_b[n],
                of.last[n], of.last_b[n], at, room.entry[n], room.p, room.h[n], room.k[n], room.c[n],
                room.arrive[n], room.leave[n], room.jacobian[n],
            )  # fmt: skip
            gather(n, blocks, of.beta[n], room.entry[n], room.jacobian[n], product, log_det)
            if series.method != EXACT:
                by_series(
                    series, n, start, of.beta[n], room.entry[n], room.jacobian[n], estimate, pull[n], of_series, reach
                )
        tile = ZERO
        for d in range(2):
            scale, shift, of_scale, of_shift = of.scales[blocks, d], of.shifts[blocks, d], ZERO, ZERO
            for i in range(size):
                z = scale * at[d, i] + shift
                tile += HALF * weight[i] * z * z
                dz = weight[i] * z
                if len(d_z):
                    dz = d_z[start + i, d] if start + i < batch else ZERO
                of_scale += dz * at[d, i]
                of_shift += dz
                at[d, i] = scale * dz
            gradient.scales[blocks, d] += of_scale
            gradient.shifts[blocks, d] += of_shift
        exactly = estimated = ZERO
        for i in range(size):
            exactly += weight[i] * log_det[i]
            estimated += weight[i] * estimate[i]
        nll += tile - exactly
        loss += tile - (exactly if series.method == EXACT else estimated)
        for n in range(blocks - 1, -1, -1):
            if series.method == EXACT:
                for i in range(size):
                    m00, m01, m10, m11, det = determinant(of.beta[n], room.entry[n], room.jacobian[n], i)
                    inverse = -weight[i] / det  # of the loss - log|det|: the gradient in A is the inverse, transposed
                    d_a[0, i], d_a[1, i], d_a[2, i], d_a[3, i] = (
                        m11 * inverse,
                        -m10 * inverse,
                        -m01 * inverse,
                        m00 * inverse,
                    )
            else:
                for c in range(4):
                    for i in range(size):
                        d_a[c, i] = -weight[i] * pull[n, c, i]
            block.backward(
                of.beta[n], of.scales[n], of.first[n], of.middle[n], of.last[n],
                room.entry[n], room.h[n], room.k[n], room.c[n], room.arrive[n], room.leave[n], room.jacobian[n],
                at, d_a, room.d_units, d_room,
                gradient.beta[n : n + 1], gradient.scales[n], gradient.shifts[n], gradient.first[n],
                gradient.first_b[n], gradient.middle[n], gradient.middle_b[n], gradient.last[n], gradient.last_b[n],
            )  # fmt: skip
        if len(d_x):
            for i in range(min(size, batch - start)):
                d_x[start + i, 0], d_x[start + i, 1] = at[0, i], at[1, i]
    return loss, nll


@njit(**OPTIONS)
def forward(kind, x, of, series, z, log_det, jacobians, stages, room):
    """Of points x, (batch, 2), fill z, (batch, 2), and log|det dz/dx| without the log scales, (batch,); and, unless
    they are empty, all A, (batch, blocks, 2, 2), and the points after each block, (blocks, batch, 2)."""
    blocks, batch, size = len(of.beta), len(x), room.p.shape[1]
    at, product, total = np.empty((2, size), np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    entry, jacobian, pull = room.entry[0], room.jacobian[0], np.empty((4, size), np.float32)
    of_series, reach = np.empty((ROWS, size), np.float32), np.empty((series.u.shape[2], size))
    for start in range(0, batch, size):
        count = min(size, batch - start)
        load(x, start, at)
        for i in range(size):
            total[i], product[i] = ZERO, ONE
        for n in range(blocks):
            block.forward(
                kind, of.beta[n], of.scales[n], of.shifts[n], of.first[n], of.first_b[n], of.middle[n], of.middle_b[n],
                of.last[n], of.last_b[n], at, entry, room.p, room.h[0], room.k[0], room.c[0], room.arrive[0],
                room.leave[0], jacobian,
            )  # fmt: skip
            if series.method == EXACT:
                gather(n, blocks, of.beta[n], entry, jacobian, product, total)
            else:
                by_series(series, n, start, of.beta[n], entry, jacobian, total, pull, of_series, reach)
            if len(jacobians):
                for i in range(count):
                    a00, a01, a10, a11 = residual_jacobian(of.beta[n], entry, jacobian, i)
                    a = jacobians[start + i, n]
                    a[0, 0], a[0, 1], a[1, 0], a[1, 1] = a00, a01, a10, a11
            if len(stages):
                for i in range(count):
                    stages[n, start + i, 0], stages[n, start + i, 1] = at[0, i], at[1, i]
        for i in range(count):
            log_det[start + i] = total[i]
            for d in range(2):
                z[start + i, d] = of.scales[blocks, d] * at[d, i] + of.shifts[blocks, d]


@njit(inline="always", **OPTIONS)
def load(x, start, at):
    """The points from `start` on as a tile, which the last point fills up."""
    size = at.shape[1]
    for i in range(size):
        n = min(start + i, len(x) - 1)
        at[0, i], at[1, i] = x[n, 0], x[n, 1]


@njit(inline="always", **OPTIONS)
def by_series(series, n, start, beta, entry, jacobian, total, pull, room, reach):
    """`series.estimates` of the n-th block at a tile."""
    for i in range(len(total)):
        room[A, i], room[A + 1, i], room[A + 2, i], room[A + 3, i] = residual_jacobian(beta, entry, jacobian, i)
    estimates(series, n, start, total, pull, room, reach)


@njit(inline="always", **OPTIONS)
def gather(n, blocks, beta, entry, jacobian, product, total):
    """Add the log dets of the n-th of so many blocks: to `product`, and with each few blocks to `total`, (size,)."""
    size = len(product)
    for i in range(size):
        _, _, _, _, det = determinant(beta, entry, jacobian, i)
        product[i] *= det
    if n % FACTORS == FACTORS - 1 or n == blocks - 1:
        for i in range(size):
            total[i] += log(abs(product[i]))
            product[i] = ONE
