"""From the parameters of all blocks to folded weights, and from the gradients of these to theirs, in the 2-norm.

With W = raw of a layer, C the activation's constant and F_i = beta_{i+1} (1 after the last),

    beta_i = beta_0 exp(R tanh(S raw_i / R)),   f_i = F_i / (C beta_i),   Y_i = r_i W_i,   W~_i = f_i Y_i,
    b~_i = F_i b_i,

where r = c / ||W||_2 where the norm exceeds its cap c (with `exactly` in any case), else 1. The
way back: with ||W||_2 = s = u'Wv and d(.) the gradient of the loss,

    dY_i = f_i dW~_i,   db_i = F_i db~_i,   df_i = <dW~_i, Y_i>,   dF_i = <db~_i, b_i> + df_i / (C beta_i),
    d beta_i = dF_{i-1} - df_i f_i / beta_i,   dW = r (dY - <dY, W> / s uv'),

the last term only where r was not 1. The norms of what has two rows or columns are closed forms; those of square
layers come from `spectral_norm`.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from resflow_core.fast.kernel.activations import ONE, ZERO
from resflow_core.fast.kernel.numbers import OPTIONS, float32
from resflow_core.spectral_norm import SLACK


class Raw(NamedTuple):
    """The parameters of n blocks, or their gradients; float32, contiguous."""

    scales: np.ndarray  # (n, layers + 1), of beta; (n, 0) where none are learned, and beta is 1
    log_scales: np.ndarray  # (n + 1, 2), of ActNorm; (0, 2) where there is none
    shifts: np.ndarray  # the same
    first: np.ndarray  # (n, width, 2)
    first_b: np.ndarray  # (n, width)
    middle: np.ndarray  # (n, layers - 1, width, width)
    middle_b: np.ndarray  # (n, layers - 1, width)
    last: np.ndarray  # (n, 2, width)
    last_b: np.ndarray  # (n, 2)


class Triples(NamedTuple):
    """s, r, u and v of all layers but the output's and the input's, which `fold` fills; then of all."""

    s: np.ndarray  # (n, layers + 1), float64
    r: np.ndarray
    u: np.ndarray  # (n, layers + 1, width), of which a layer with two rows has two
    v: np.ndarray


class Limits(NamedTuple):
    cap: float
    most: float  # the largest r
    exactly: bool
    constant: float  # C
    initial_scale: float  # beta_0
    speed: float  # S
    log_range: float  # R


@njit(inline="never", **OPTIONS)
def fold(raw, triples, limits, of):
    """Fill `of`, a `whole_flow.Arrays`, and `triples`; returns the sum of all log scales."""
    blocks, layers = triples.s.shape
    total = 0.0
    of.scales[:], of.shifts[:] = ONE, ZERO
    for n in range(len(raw.log_scales)):
        for d in range(2):
            of.scales[n, d], of.shifts[n, d] = math.exp(raw.log_scales[n, d]), raw.shifts[n, d]
            total += raw.log_scales[n, d]
    for n in range(blocks):
        _norm_of_tall(raw.first[n], triples.u[n, 0], triples.v[n, 0], triples.s[n, 0:1])
        _norm_of_tall(raw.last[n].T, triples.v[n, layers - 1], triples.u[n, layers - 1], triples.s[n, layers - 1 :])
        for i in range(layers):
            s = triples.s[n, i]
            r = 1.0 if s == 0 else limits.cap * (1 - SLACK) / (1 + SLACK) / s
            triples.r[n, i] = limits.most if r > limits.most else r
        of.beta[n] = beta(raw, limits, n, 0)
        for i in range(layers):
            following = beta(raw, limits, n, i + 1)
            factor = float32(following / (limits.constant * beta(raw, limits, n, i)) * triples.r[n, i])
            if i == 0:
                _scaled(raw.first[n], factor, of.first[n])
                _scaled_row(raw.first_b[n], following, of.first_b[n])
            elif i < layers - 1:
                _scaled(raw.middle[n, i - 1], factor, of.middle[n, i - 1])
                _scaled_row(raw.middle_b[n, i - 1], following, of.middle_b[n, i - 1])
            else:
                _scaled(raw.last[n], factor, of.last[n])
                _scaled_row(raw.last_b[n], following, of.last_b[n])
    return total


@njit(inline="never", **OPTIONS)
def unfold(raw, triples, limits, d_of, gradient):
    """Fill `gradient`, a `Raw`, from the gradients of what `fold` filled, `d_of`; that of minus the sum of all log
    scales is added."""
    blocks, layers = triples.s.shape
    for n in range(len(raw.log_scales)):
        for d in range(2):
            gradient.log_scales[n, d] = d_of.scales[n, d] * math.exp(raw.log_scales[n, d]) - 1
            gradient.shifts[n, d] = d_of.shifts[n, d]
    for n in range(blocks):
        previous = float(d_of.beta[n])  # dF_{i-1}, of the entry for the first
        for i in range(layers):
            here, following = beta(raw, limits, n, i), beta(raw, limits, n, i + 1)
            factor = following / (limits.constant * here)
            if i == 0:
                along = _layer(raw.first[n], triples, limits, n, i, factor, d_of.first[n], gradient.first[n])
                of_bias = _bias(raw.first_b[n], following, d_of.first_b[n], gradient.first_b[n])
            elif i < layers - 1:
                m = i - 1
                along = _layer(
                    raw.middle[n, m], triples, limits, n, i, factor, d_of.middle[n, m], gradient.middle[n, m]
                )
                of_bias = _bias(raw.middle_b[n, m], following, d_of.middle_b[n, m], gradient.middle_b[n, m])
            else:
                along = _layer(raw.last[n], triples, limits, n, i, factor, d_of.last[n], gradient.last[n])
                of_bias = _bias(raw.last_b[n], following, d_of.last_b[n], gradient.last_b[n])
            if raw.scales.shape[1]:
                d_beta = previous - along * factor / here
                gradient.scales[n, i] = d_beta * here * _slope(raw.scales[n, i], limits)
            previous = of_bias + along / (limits.constant * here)


@njit(inline="always", **OPTIONS)
def beta(raw, limits, n, i):
    """beta_i of the n-th block; 1 after the last."""
    if i >= raw.scales.shape[1]:
        return 1.0
    exponent = limits.log_range * math.tanh(limits.speed * raw.scales[n, i] / limits.log_range)
    return limits.initial_scale * math.exp(exponent)


@njit(inline="always", **OPTIONS)
def _slope(raw, limits):
    """d log beta / d raw."""
    return limits.speed * (1 - math.tanh(limits.speed * raw / limits.log_range) ** 2)


@njit(inline="never", **OPTIONS)
def _norm_of_tall(w, u, v, s):
    """s, u and v of W with two columns: [[a, b], [b, c]] = W'W stretches most at half the angle of (a - c, 2b)."""
    a = b = c = 0.0
    for j in range(len(w)):
        w0, w1 = float(w[j, 0]), float(w[j, 1])
        a += w0 * w0
        b += w0 * w1
        c += w1 * w1
    angle = math.atan2(2 * b, a - c) / 2
    v[0], v[1] = math.cos(angle), math.sin(angle)
    total = 0.0
    for j in range(len(w)):
        u[j] = w[j, 0] * v[0] + w[j, 1] * v[1]
        total += u[j] * u[j]
    s[0] = math.sqrt(total)
    if s[0] > 0:
        for j in range(len(w)):
            u[j] /= s[0]


@njit(inline="always", **OPTIONS)
def _scaled(w, factor, out):
    for j in range(w.shape[0]):
        for i in range(w.shape[1]):
            out[j, i] = factor * w[j, i]


@njit(inline="always", **OPTIONS)
def _scaled_row(b, factor, out):
    for j in range(len(b)):
        out[j] = factor * b[j]


@njit(inline="never", **OPTIONS)
def _layer(w, triples, limits, n, i, factor, d_folded, out):
    """dW into `out`, (out, in); returns df."""
    s, r, u, v = triples.s[n, i], triples.r[n, i], triples.u[n, i], triples.v[n, i]
    total = 0.0
    for j in range(w.shape[0]):
        for k in range(w.shape[1]):
            total += float(d_folded[j, k]) * w[j, k]
    radial = 0.0
    if s > 0 and (limits.exactly or r < 1):
        radial = factor * total / s
    for j in range(w.shape[0]):
        along = radial * u[j]
        for k in range(w.shape[1]):
            out[j, k] = r * (factor * d_folded[j, k] - along * v[k])
    return r * total


@njit(inline="always", **OPTIONS)
def _bias(b, following, d_folded, out):
    """db into `out`; returns <db~, b>."""
    total = 0.0
    for j in range(len(b)):
        out[j] = following * d_folded[j]
        total += float(d_folded[j]) * b[j]
    return total
