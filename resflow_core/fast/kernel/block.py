"""One residual block in the plane, y + g(y) with y = s x + m, at the points of a tile, and its backward pass.

With t = beta y and (a_d, q_d, r_d) = raw, raw', raw'' of t_d, the hidden layers take

    p^1 = W^1 a + b^1,   h^l, k^l, c^l = raw, raw', raw'' of p^l,   p^{l+1} = W^{l+1} h^l + b^{l+1},
    T^1_id = W^1_id,     T^{l+1}_jd = sum_i W^{l+1}_ji k^l_i T^l_id        (dp/dt_d, without the factor q_d),

and the last layer gives g = V h^n + b, J_cd = sum_i V_ci k^n_i T^n_id, and A_cd = beta J_cd q_d.

Backward, with d(.) the gradient of the loss with respect to (.), and sums over the points:

    dJ_cd = beta q_d dA_cd,   dq_d = beta sum_c dA_cd J_cd,   d beta = sum_cd dA_cd J_cd q_d + sum_d dt_d y_d,
    dU_id = sum_c V_ci dJ_cd,   dh_i = sum_c V_ci dg_c,   dV_ci = dg_c h_i + sum_d dJ_cd k_i T_id,
    dp_i = k_i dh_i + c_i sum_d T_id dU_id,   dT_id = k_i dU_id,                                in each hidden layer,
    dW_ji = dp_j h_i + sum_d dT_jd k_i T_id,   dh_i = sum_j W_ji dp_j,   dU_id = sum_j W_ji dT_jd,   between two,
    dW^1_id = dp_i a_d + dT_id,   dt_d = q_d sum_i W^1_id dp_i + r_d dq_d,   dy_d = dg_d + beta dt_d,
    ds_d = dy_d x_d,   dm_d = dy_d,   dx_d = s_d dy_d.

Arrays are float32; the points of a tile come last, (..., size).
"""

from typing import Any

import numpy as np
from numba import njit

from resflow_core.fast.kernel.activations import ONE, ZERO, activate
from resflow_core.fast.kernel.numbers import EXACT, OPTIONS, float32
from resflow_core.fast.kernel.workspace import A, Q, R, X, Y

# Sums over points may be taken in any order: no rounding trick is in the backward pass.
SUMS: dict[str, Any] = {**OPTIONS, "fastmath": {*EXACT, "reassoc", "afn"}}
FARTHEST = float32(1e6)
"""Beyond, a sine in single precision means nothing, and its argument must not overflow."""


@njit(inline="never", **OPTIONS)
def forward(kind, beta, scale, shift, w, b, middle, middle_b, v, v_b, x, entry, p, h, k, c, arrive, leave, jacobian):
    """Take x, (2, size), to y + g(y) in place; fill `entry`, (10, size), h, k and c, (layers, width, size), and J as
    `jacobian`, (4, size). Where there are several layers, `arrive`, (layers, width, 3, size), gets p and both T of
    each, and `leave` gets h and both k T. `p`, (width, size), is room."""
    width, layers, size = len(b), len(middle) + 1, x.shape[1]
    for d in range(2):
        s, m = scale[d], shift[d]
        source, y, t = entry[X + d], entry[Y + d], p[0]
        for i in range(size):
            source[i] = x[d, i]
            y[i] = s * x[d, i] + m
            t[i] = min(max(beta * y[i], -FARTHEST), FARTHEST)
        activate(kind, t, entry[A + d], entry[Q + d], entry[R + d])
    _first_layer(w, b, entry[A], entry[A + 1], p)
    activate(kind, _flat(p), _flat(h[0]), _flat(k[0]), _flat(c[0]))
    if layers == 1:
        _last_of_one(v, w, h[0], k[0], x, jacobian)
    else:
        for j in range(width):
            arrive[0, j, 1, :] = w[j, 0]
            arrive[0, j, 2, :] = w[j, 1]
        _leave(h[0], k[0], arrive[0], leave[0])
        for layer in range(1, layers):
            np.dot(middle[layer - 1], _rows(leave[layer - 1]), _rows(arrive[layer]))
            _biased(arrive[layer], middle_b[layer - 1], p)
            activate(kind, _flat(p), _flat(h[layer]), _flat(k[layer]), _flat(c[layer]))
            _leave(h[layer], k[layer], arrive[layer], leave[layer])
        top = leave[layers - 1]
        _last_layer(v, top, 0, x[0], x[1])
        _last_layer(v, top, 1, jacobian[0], jacobian[2])
        _last_layer(v, top, 2, jacobian[1], jacobian[3])
    for d in range(2):  # last: the sums of g are of smaller numbers, and rounded less
        here, y, bias = x[d], entry[Y + d], v_b[d]
        for i in range(size):
            here[i] = y[i] + (here[i] + bias)


@njit(inline="never", **OPTIONS)
def value(kind, beta, w, b, middle, middle_b, v, v_b, y, entry, p, h, k, c):
    """Take y, (2, size), to y + g(y) in place, without J. Of one layer, `entry`, (10, size), and the others, (width,
    size), are room."""
    size = y.shape[1]
    for d in range(2):
        here, t = y[d], p[0]
        for i in range(size):
            t[i] = min(max(beta * here[i], -FARTHEST), FARTHEST)
        activate(kind, t, entry[A + d], entry[Q + d], entry[R + d])
    _first_layer(w, b, entry[A], entry[A + 1], p)
    activate(kind, _flat(p), _flat(h), _flat(k), _flat(c))
    for layer in range(len(middle)):
        np.dot(middle[layer], h, p)
        _biased(_parts(p), middle_b[layer], k)
        activate(kind, _flat(k), _flat(h), _flat(p), _flat(c))
    _last_layer(v, _parts(h), 0, entry[X], entry[X + 1])
    for d in range(2):
        here, g, bias = y[d], entry[X + d], v_b[d]
        for i in range(size):
            here[i] += g[i] + bias


@njit(inline="always", **OPTIONS)
def _flat(rows):
    return rows.reshape(rows.size)


@njit(inline="always", **OPTIONS)
def _rows(units):
    """(width, 3, size) as a matrix."""
    return units.reshape(len(units), 3 * units.shape[2])


@njit(inline="always", **OPTIONS)
def _parts(units):
    """(width, size) as (width, 1, size)."""
    return units.reshape(len(units), 1, units.shape[1])


@njit(inline="never", **OPTIONS)
def _first_layer(w, b, a0, a1, p):
    """p = W a + b."""
    size = len(a0)
    for j in range(len(b)):
        w0, w1, bias = w[j, 0], w[j, 1], b[j]
        for i in range(size):
            p[j, i] = w0 * a0[i] + w1 * a1[i] + bias


@njit(inline="never", **OPTIONS)
def _biased(parts, b, out):
    """The first of the parts + b, (width, size)."""
    size = out.shape[1]
    for j in range(len(b)):
        bias = b[j]
        for i in range(size):
            out[j, i] = parts[j, 0, i] + bias


@njit(inline="never", **OPTIONS)
def _leave(h, k, arrive, leave):
    """h and both k T of a layer."""
    size = h.shape[1]
    for j in range(len(h)):
        for i in range(size):
            leave[j, 0, i] = h[j, i]
        for i in range(size):
            leave[j, 1, i] = k[j, i] * arrive[j, 1, i]
        for i in range(size):
            leave[j, 2, i] = k[j, i] * arrive[j, 2, i]


@njit(inline="never", **OPTIONS)
def _last_layer(v, parts, part, out0, out1):
    """V times a part of (width, parts, size)."""
    size = len(out0)
    for i in range(size):
        out0[i] = out1[i] = ZERO
    for j in range(len(parts)):
        v0, v1 = v[0, j], v[1, j]
        for i in range(size):
            out0[i] += v0 * parts[j, part, i]
            out1[i] += v1 * parts[j, part, i]


@njit(inline="never", **OPTIONS)
def _last_of_one(v, w, h, k, g, jacobian):
    """V h, and J = V diag(k) W, of one hidden layer."""
    size = h.shape[1]
    g0, g1, j00, j01, j10, j11 = g[0], g[1], jacobian[0], jacobian[1], jacobian[2], jacobian[3]
    for i in range(size):
        g0[i] = g1[i] = j00[i] = j01[i] = j10[i] = j11[i] = ZERO
    for j in range(len(h)):
        v0, v1, w0, w1 = v[0, j], v[1, j], w[j, 0], w[j, 1]
        r00, r01, r10, r11 = v0 * w0, v0 * w1, v1 * w0, v1 * w1
        for i in range(size):
            g0[i] += v0 * h[j, i]
            g1[i] += v1 * h[j, i]
            j00[i] += r00 * k[j, i]
            j01[i] += r01 * k[j, i]
            j10[i] += r10 * k[j, i]
            j11[i] += r11 * k[j, i]


@njit(inline="never", **SUMS)
def backward(
    beta, scale, w, middle, v, entry, h, k, c, arrive, leave, jacobian, d_out, d_a, d_units, room,
    d_beta, d_scale, d_shift, d_w, d_b, d_middle, d_middle_b, d_v, d_v_b,
):  # fmt: skip
    """Take `d_out`, (2, size), from the gradient of the block's output to that of its x, and add to the gradients of
    its parameters. `d_a` is dA, (4, size); `d_units`, (2, width, 3, size), and `room`, (8, size), are overwritten."""
    layers, size = len(middle) + 1, d_out.shape[1]
    d_j, d_q, d_into = room[0:4], room[4:6], room[6:8]  # dJ, dq, da
    d_beta[0] += _into_jacobian(beta, entry, jacobian, d_a, d_j, d_q)
    if layers == 1:
        _one_layer(w, v, entry, h[0], k[0], c[0], d_out, d_j, d_into, d_w, d_b, d_v)
    else:
        top, place = layers - 1, 0
        _into_top(v, leave[top], d_out, d_j, d_units[0], d_v)
        _through_slopes(k[top], c[top], arrive[top], d_units[0])
        for layer in range(top, 0, -1):
            above, below = d_units[place], d_units[1 - place]
            _sum_first(above, d_middle_b[layer - 1])
            d_middle[layer - 1] += np.dot(_rows(above), _rows(leave[layer - 1]).T)
            np.dot(middle[layer - 1].T, _rows(above), _rows(below))
            _through_slopes(k[layer - 1], c[layer - 1], arrive[layer - 1], below)
            place = 1 - place
        _into_entry(w, entry, d_units[place], d_into, d_w, d_b)
    for d in range(2):
        q, r, x, y = entry[Q + d], entry[R + d], entry[X + d], entry[Y + d]
        da, dq, out, s = d_into[d], d_q[d], d_out[d], scale[d]
        of_beta = of_bias = of_scale = of_shift = ZERO
        for i in range(size):
            of_bias += out[i]
            dt = q[i] * da[i] + r[i] * dq[i]
            of_beta += dt * y[i]
            dy = out[i] + beta * dt
            of_scale += dy * x[i]
            of_shift += dy
            out[i] = s * dy
        d_v_b[d] += of_bias
        d_beta[0] += of_beta
        d_scale[d] += of_scale
        d_shift[d] += of_shift


@njit(inline="never", **SUMS)
def _into_jacobian(beta, entry, jacobian, d_a, d_j, d_q):
    """dJ, (4, size), and dq, (2, size), from dA; returns what A adds to d beta by its factor."""
    q0, q1, of_beta, size = entry[Q], entry[Q + 1], ZERO, d_j.shape[1]
    for i in range(size):
        column0 = d_a[0, i] * jacobian[0, i] + d_a[2, i] * jacobian[2, i]
        column1 = d_a[1, i] * jacobian[1, i] + d_a[3, i] * jacobian[3, i]
        of_beta += column0 * q0[i] + column1 * q1[i]
        d_q[0, i], d_q[1, i] = beta * column0, beta * column1
        d_j[0, i], d_j[1, i] = beta * q0[i] * d_a[0, i], beta * q1[i] * d_a[1, i]
        d_j[2, i], d_j[3, i] = beta * q0[i] * d_a[2, i], beta * q1[i] * d_a[3, i]
    return of_beta


@njit(inline="never", **SUMS)
def _one_layer(w, v, entry, h, k, c, d_out, d_j, d_into, d_w, d_b, d_v):
    """All of one hidden layer, in one pass over its units: its gradients, and da."""
    a0, a1, g0, g1, da0, da1 = entry[A], entry[A + 1], d_out[0], d_out[1], d_into[0], d_into[1]
    j00, j01, j10, j11, size = d_j[0], d_j[1], d_j[2], d_j[3], h.shape[1]
    for i in range(size):
        da0[i] = da1[i] = ZERO
    for j in range(len(h)):
        v0, v1, w0, w1 = v[0, j], v[1, j], w[j, 0], w[j, 1]
        of_v0 = of_v1 = of_w0 = of_w1 = of_b = ZERO
        for i in range(size):
            slope, bend, unit = k[j, i], c[j, i], h[j, i]
            u0, u1 = v0 * j00[i] + v1 * j10[i], v0 * j01[i] + v1 * j11[i]
            dp = slope * (v0 * g0[i] + v1 * g1[i]) + bend * (w0 * u0 + w1 * u1)
            of_w0 += dp * a0[i] + slope * u0
            of_w1 += dp * a1[i] + slope * u1
            of_b += dp
            t0, t1 = slope * w0, slope * w1
            of_v0 += g0[i] * unit + j00[i] * t0 + j01[i] * t1
            of_v1 += g1[i] * unit + j10[i] * t0 + j11[i] * t1
            da0[i] += w0 * dp
            da1[i] += w1 * dp
        d_w[j, 0] += of_w0
        d_w[j, 1] += of_w1
        d_b[j] += of_b
        d_v[0, j] += of_v0
        d_v[1, j] += of_v1


@njit(inline="never", **SUMS)
def _into_top(v, leave, d_out, d_j, d, d_v):
    """Through V: of the top hidden layer, dh and both dU, (width, 3, size), and dV."""
    g0, g1, j00, j01, j10, j11 = d_out[0], d_out[1], d_j[0], d_j[1], d_j[2], d_j[3]
    size = d_j.shape[1]
    for j in range(len(d)):
        v0, v1, of_v0, of_v1 = v[0, j], v[1, j], ZERO, ZERO
        h, u0, u1, dh, du0, du1 = leave[j, 0], leave[j, 1], leave[j, 2], d[j, 0], d[j, 1], d[j, 2]
        for i in range(size):
            of_v0 += g0[i] * h[i] + j00[i] * u0[i] + j01[i] * u1[i]
            of_v1 += g1[i] * h[i] + j10[i] * u0[i] + j11[i] * u1[i]
        for i in range(size):
            dh[i] = v0 * g0[i] + v1 * g1[i]
        for i in range(size):
            du0[i] = v0 * j00[i] + v1 * j10[i]
        for i in range(size):
            du1[i] = v0 * j01[i] + v1 * j11[i]
        d_v[0, j] += of_v0
        d_v[1, j] += of_v1


@njit(inline="never", **SUMS)
def _through_slopes(k, c, arrive, d):
    """Of one layer, d from the gradients of h and both U to those of p and both T, in place."""
    size = k.shape[1]
    for j in range(len(k)):
        slope, bend, t0, t1, dh, d0, d1 = k[j], c[j], arrive[j, 1], arrive[j, 2], d[j, 0], d[j, 1], d[j, 2]
        for i in range(size):
            dh[i] = slope[i] * dh[i] + bend[i] * (t0[i] * d0[i] + t1[i] * d1[i])
        for i in range(size):
            d0[i] *= slope[i]
        for i in range(size):
            d1[i] *= slope[i]


@njit(inline="never", **SUMS)
def _sum_first(parts, out):
    size = parts.shape[2]
    for j in range(len(parts)):
        total = ZERO
        for i in range(size):
            total += parts[j, 0, i]
        out[j] += total


@njit(inline="never", **SUMS)
def _into_entry(w, entry, d, d_into, d_w, d_b):
    """Through W^1, from dp and both dT of the first of several layers: its gradients, and da."""
    a0, a1, da0, da1, size = entry[A], entry[A + 1], d_into[0], d_into[1], d.shape[2]
    for i in range(size):
        da0[i] = da1[i] = ZERO
    for j in range(len(d_b)):
        w0, w1, dp, dt0, dt1 = w[j, 0], w[j, 1], d[j, 0], d[j, 1], d[j, 2]
        of_w0 = of_w1 = of_b = ZERO
        for i in range(size):
            of_w0 += dp[i] * a0[i] + dt0[i]
            of_w1 += dp[i] * a1[i] + dt1[i]
            of_b += dp[i]
        for i in range(size):
            da0[i] += w0 * dp[i]
            da1[i] += w1 * dp[i]
        d_w[j, 0] += of_w0
        d_w[j, 1] += of_w1
        d_b[j] += of_b


@njit(inline="always", **OPTIONS)
def residual_jacobian(beta, entry, jacobian, i):
    """A at the i-th point, row by row."""
    q0, q1 = beta * entry[Q, i], beta * entry[Q + 1, i]
    return q0 * jacobian[0, i], q1 * jacobian[1, i], q0 * jacobian[2, i], q1 * jacobian[3, i]


@njit(inline="always", **OPTIONS)
def determinant(beta, entry, jacobian, i):
    """I + A at the i-th point, row by row, and its determinant."""
    a00, a01, a10, a11 = residual_jacobian(beta, entry, jacobian, i)
    m00, m11 = ONE + a00, ONE + a11
    return m00, a01, a10, m11, m00 * m11 - a01 * a10
