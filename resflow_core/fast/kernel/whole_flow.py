"""A whole residual flow in the plane, tile by tile: its loss with the gradient.

What a tile needs of all blocks stays in the processor's cache, where a pass over all points would not. Log dets are
summed as the logarithm of the product of a few determinants, which saves most of the logarithms.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numba import njit

from resflow_core.fast.kernel import block
from resflow_core.fast.kernel.activations import HALF, ONE, TILE, ZERO
from resflow_core.fast.kernel.block import ENTRY_ROWS, determinant
from resflow_core.fast.kernel.numbers import OPTIONS, log

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
def _nll_gradient(kind, x, of, gradient):
    """The mean over x, (batch, 2), of |z|^2 / 2 - sum_i log|det(I + A_i)|, and add its gradient to `gradient`."""
    blocks, (width, layers), batch = len(of.beta), (of.first.shape[1], of.middle.shape[1] + 1), len(x)
    entry = np.empty((blocks, ENTRY_ROWS, TILE), np.float32)
    k, c = np.empty((blocks, layers, width, TILE), np.float32), np.empty((blocks, layers, width, TILE), np.float32)
    arrive = np.empty((blocks, layers, width, 3, TILE), np.float32)
    leave = np.empty_like(arrive)
    jacobian, room = np.empty((blocks, 4, TILE), np.float32), np.empty((8, TILE), np.float32)
    p, at = np.empty((1, TILE), np.float32), np.empty((2, TILE), np.float32)
    d_a, d_units = np.empty((4, TILE), np.float32), np.empty((2, width, 3, TILE), np.float32)
    log_det, weight = np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    share, nll = ONE / float32(batch), 0.0
    for start in range(0, batch, TILE):
        _load(x, start, at)
        for i in range(TILE):
            weight[i] = share if start + i < batch else ZERO
        _through(kind, of, at, entry, k, c, arrive, leave, jacobian, p, log_det)
        tile = ZERO
        for d in range(2):
            scale, shift, of_scale, of_shift = of.scales[blocks, d], of.shifts[blocks, d], ZERO, ZERO
            for i in range(TILE):
                z = scale * at[d, i] + shift
                tile += HALF * weight[i] * z * z
                dz = weight[i] * z
                of_scale += dz * at[d, i]
                of_shift += dz
                at[d, i] = scale * dz
            gradient.scales[blocks, d] += of_scale
            gradient.shifts[blocks, d] += of_shift
        for i in range(TILE):
            tile -= weight[i] * log_det[i]
        nll += tile
        for n in range(blocks - 1, -1, -1):
            for i in range(TILE):
                m00, m01, m10, m11, det = determinant(of.beta[n], entry[n], jacobian[n], i)
                inverse = -weight[i] / det  # of the loss - log|det|: the gradient in A is the inverse, transposed
                d_a[0, i], d_a[1, i], d_a[2, i], d_a[3, i] = (
                    m11 * inverse,
                    -m10 * inverse,
                    -m01 * inverse,
                    m00 * inverse,
                )
            block.backward(
                of.beta[n], of.scales[n], of.first[n], of.middle[n], of.last[n],
                entry[n], k[n], c[n], arrive[n], leave[n], jacobian[n], at, d_a, d_units, room,
                gradient.beta[n : n + 1], gradient.scales[n], gradient.shifts[n], gradient.first[n],
                gradient.first_b[n], gradient.middle[n], gradient.middle_b[n], gradient.last[n], gradient.last_b[n],
            )  # fmt: skip
    return nll


@njit(inline="always", **OPTIONS)
def _load(x, start, at):
    """The points from `start` on as a tile, which the last point fills up."""
    for i in range(TILE):
        n = min(start + i, len(x) - 1)
        at[0, i], at[1, i] = x[n, 0], x[n, 1]


@njit(inline="never", **OPTIONS)
def _through(kind, of, at, entry, k, c, arrive, leave, jacobian, p, log_det):
    """Take the points of a tile through all blocks, up to the last ActNorm."""
    product = np.empty(TILE, np.float32)
    for i in range(TILE):
        log_det[i], product[i] = ZERO, ONE
    for n in range(len(of.beta)):
        block.forward(
            kind, of.beta[n], of.scales[n], of.shifts[n], of.first[n], of.first_b[n], of.middle[n], of.middle_b[n],
            of.last[n], of.last_b[n], at, entry[n], p, k[n], c[n], arrive[n], leave[n], jacobian[n],
        )  # fmt: skip
        for i in range(TILE):
            _, _, _, _, det = determinant(of.beta[n], entry[n], jacobian[n], i)
            product[i] *= det
        if n % FACTORS == FACTORS - 1 or n == len(of.beta) - 1:
            for i in range(TILE):
                log_det[i] += log(abs(product[i]))
                product[i] = ONE


def digest(folder: Path) -> int:
    """Of all Python files of a folder."""
    return crc32(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py"))))


def cached(sources: int) -> Callable[..., Any]:
    """`_nll_gradient`, kept on disk for these sources. Numba compiles anew if the file of a function or its free
    variables change, and does not look at the files of what the function calls."""

    @njit(cache=True, **OPTIONS)
    def nll_gradient(kind, x, of, gradient):
        return _nll_gradient(kind, x, of, gradient) if sources >= 0 else 0.0

    return nll_gradient


nll_gradient = cached(digest(Path(__file__).parent))
