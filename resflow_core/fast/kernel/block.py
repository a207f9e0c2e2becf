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

Arrays are float32; the points of a tile come last, (..., TILE).
"""

from typing import Any

import numpy as np
from numba import njit

from resflow_core.fast.kernel.activations import ONE, TILE, ZERO, activate
from resflow_core.fast.kernel.numbers import OPTIONS

# Sums over points may be taken in any order: no rounding trick is in the backward pass.
SUMS: dict[str, Any] = {**OPTIONS, "fastmath": True}

# Rows of what is kept of the entry of a block: x, y, a, q and r, each of both coordinates.
X, Y, A, Q, R = 0, 2, 4, 6, 8
ENTRY_ROWS = 10


@njit(inline="never", **OPTIONS)
def forward(kind, beta, scale, shift, w, b, middle, middle_b, v, v_b, x, entry, p, k, c, arrive, leave, jacobian):
    """Take x, (2, TILE), to y + g(y) in place; fill `entry`, (10, TILE), k and c, (layers, width, TILE), and J as
    `jacobian`, (4, TILE). Of each unit `leave`, (layers, width, 3, TILE), gets h and both k T, and `arrive` gets p and
    both T: of one layer alone only h. `p` is (1, TILE) of room."""
    width, layers = len(b), len(middle) + 1
    for d in range(2):
        s, m = scale[d], shift[d]
        source, y, t = entry[X + d], entry[Y + d], p[0]
        for i in range(TILE):
            source[i] = x[d, i]
            y[i] = s * x[d, i] + m
            t[i] = beta * y[i]
        activate(kind, t, entry[A + d], entry[Q + d], entry[R + d])
    a0, a1, y0, y1 = entry[A], entry[A + 1], entry[Y], entry[Y + 1]
    for j in range(width):
        w0, w1, bias, t = w[j, 0], w[j, 1], b[j], p[0]
        for i in range(TILE):
            t[i] = w0 * a0[i] + w1 * a1[i] + bias
        activate(kind, t, leave[0, j, 0], k[0, j], c[0, j])
    if layers > 1:
        for j in range(width):
            _fill(arrive[0, j, 1], w[j, 0])
            _fill(arrive[0, j, 2], w[j, 1])
    for layer in range(1, layers):
        below, above = leave[layer - 1], arrive[layer]
        for j in range(width):
            _times(k[layer - 1, j], arrive[layer - 1, j, 1], below[j, 1])
            _times(k[layer - 1, j], arrive[layer - 1, j, 2], below[j, 2])
        np.dot(middle[layer - 1], below.reshape(width, 3 * TILE), above.reshape(width, 3 * TILE))
        for j in range(width):
            t, bias = above[j, 0], middle_b[layer - 1, j]
            for i in range(TILE):
                t[i] += bias
            activate(kind, t, leave[layer, j, 0], k[layer, j], c[layer, j])
    g0, g1, j00, j01, j10, j11 = x[0], x[1], jacobian[0], jacobian[1], jacobian[2], jacobian[3]
    for i in range(TILE):
        g0[i], g1[i] = y0[i] + v_b[0], y1[i] + v_b[1]
        j00[i] = j01[i] = j10[i] = j11[i] = ZERO
    top = layers - 1
    for j in range(width):
        v0, v1, value, slope = v[0, j], v[1, j], leave[top, j, 0], k[top, j]
        if layers == 1:
            r00, r01, r10, r11 = v0 * w[j, 0], v0 * w[j, 1], v1 * w[j, 0], v1 * w[j, 1]
            for i in range(TILE):
                g0[i] += v0 * value[i]
                g1[i] += v1 * value[i]
                j00[i] += r00 * slope[i]
                j01[i] += r01 * slope[i]
                j10[i] += r10 * slope[i]
                j11[i] += r11 * slope[i]
        else:
            u0, u1 = leave[top, j, 1], leave[top, j, 2]
            _times(slope, arrive[top, j, 1], u0)
            _times(slope, arrive[top, j, 2], u1)
            for i in range(TILE):
                g0[i] += v0 * value[i]
                g1[i] += v1 * value[i]
            for i in range(TILE):
                j00[i] += v0 * u0[i]
                j01[i] += v0 * u1[i]
            for i in range(TILE):
                j10[i] += v1 * u0[i]
                j11[i] += v1 * u1[i]


@njit(inline="always", **OPTIONS)
def _fill(row, number):
    for i in range(TILE):
        row[i] = number


@njit(inline="always", **OPTIONS)
def _times(a, b, out):
    for i in range(TILE):
        out[i] = a[i] * b[i]


@njit(inline="never", **SUMS)
def backward(
    beta, scale, w, middle, v, entry, k, c, arrive, leave, jacobian, d_out, d_a, d_units, room,
    d_beta, d_scale, d_shift, d_w, d_b, d_middle, d_middle_b, d_v, d_v_b,
):  # fmt: skip
    """Take `d_out`, (2, TILE), from the gradient of the block's output to that of its x, and add to the gradients of
    its parameters. `d_a` is dA, (4, TILE); `d_units`, (2, width, 3, TILE), and `room`, (8, TILE), are overwritten."""
    width, layers = len(d_b), len(middle) + 1
    j00, j01, j10, j11, dq0, dq1, da0, da1 = room[0], room[1], room[2], room[3], room[4], room[5], room[6], room[7]
    x0, x1, y0, y1 = entry[X], entry[X + 1], entry[Y], entry[Y + 1]
    a0, a1, q0, q1, r0, r1 = entry[A], entry[A + 1], entry[Q], entry[Q + 1], entry[R], entry[R + 1]
    g0, g1 = d_out[0], d_out[1]
    of_beta = of_bias0 = of_bias1 = ZERO
    for i in range(TILE):
        column0 = d_a[0, i] * jacobian[0, i] + d_a[2, i] * jacobian[2, i]
        column1 = d_a[1, i] * jacobian[1, i] + d_a[3, i] * jacobian[3, i]
        of_beta += column0 * q0[i] + column1 * q1[i]
        dq0[i], dq1[i] = beta * column0, beta * column1
        j00[i], j01[i] = beta * q0[i] * d_a[0, i], beta * q1[i] * d_a[1, i]
        j10[i], j11[i] = beta * q0[i] * d_a[2, i], beta * q1[i] * d_a[3, i]
        da0[i] = da1[i] = ZERO
        of_bias0 += g0[i]
        of_bias1 += g1[i]
    d_v_b[0] += of_bias0
    d_v_b[1] += of_bias1
    top, place = layers - 1, 0
    for j in range(width):
        v0, v1, value, slope, bend = v[0, j], v[1, j], leave[top, j, 0], k[top, j], c[top, j]
        of_v0 = of_v1 = of_w0 = of_w1 = of_b = ZERO
        if layers == 1:  # all in one pass
            w0, w1 = w[j, 0], w[j, 1]
            for i in range(TILE):
                u0, u1 = v0 * j00[i] + v1 * j10[i], v0 * j01[i] + v1 * j11[i]
                dp = slope[i] * (v0 * g0[i] + v1 * g1[i]) + bend[i] * (w0 * u0 + w1 * u1)
                of_w0 += dp * a0[i] + slope[i] * u0
                of_w1 += dp * a1[i] + slope[i] * u1
                of_b += dp
                t0, t1 = slope[i] * w0, slope[i] * w1
                of_v0 += g0[i] * value[i] + j00[i] * t0 + j01[i] * t1
                of_v1 += g1[i] * value[i] + j10[i] * t0 + j11[i] * t1
                da0[i] += w0 * dp
                da1[i] += w1 * dp
            d_w[j, 0] += of_w0
            d_w[j, 1] += of_w1
            d_b[j] += of_b
        else:
            u0, u1 = leave[top, j, 1], leave[top, j, 2]
            dh, du0, du1 = d_units[0, j, 0], d_units[0, j, 1], d_units[0, j, 2]
            for i in range(TILE):
                of_v0 += g0[i] * value[i] + j00[i] * u0[i] + j01[i] * u1[i]
                of_v1 += g1[i] * value[i] + j10[i] * u0[i] + j11[i] * u1[i]
            for i in range(TILE):
                dh[i] = v0 * g0[i] + v1 * g1[i]
            for i in range(TILE):
                du0[i] = v0 * j00[i] + v1 * j10[i]
            for i in range(TILE):
                du1[i] = v0 * j01[i] + v1 * j11[i]
        d_v[0, j] += of_v0
        d_v[1, j] += of_v1
    if layers > 1:
        columns = 3 * TILE
        _through_slopes(k[top], c[top], arrive[top], d_units[0])
        for layer in range(top, 0, -1):
            above, below = d_units[place], d_units[1 - place]
            for j in range(width):
                dp, of_b = above[j, 0], ZERO
                for i in range(TILE):
                    of_b += dp[i]
                d_middle_b[layer - 1, j] += of_b
            flat = above.reshape(width, columns)
            d_middle[layer - 1] += np.dot(flat, leave[layer - 1].reshape(width, columns).T)
            np.dot(middle[layer - 1].T, flat, below.reshape(width, columns))
            _through_slopes(k[layer - 1], c[layer - 1], arrive[layer - 1], below)
            place = 1 - place
        for j in range(width):
            w0, w1, dp, dt0, dt1 = w[j, 0], w[j, 1], d_units[place, j, 0], d_units[place, j, 1], d_units[place, j, 2]
            of_w0 = of_w1 = of_b = ZERO
            for i in range(TILE):
                of_w0 += dp[i] * a0[i] + dt0[i]
                of_w1 += dp[i] * a1[i] + dt1[i]
                of_b += dp[i]
            for i in range(TILE):
                da0[i] += w0 * dp[i]
                da1[i] += w1 * dp[i]
            d_w[j, 0] += of_w0
            d_w[j, 1] += of_w1
            d_b[j] += of_b
    of_scale0 = of_scale1 = of_shift0 = of_shift1 = ZERO
    for i in range(TILE):
        t0, t1 = q0[i] * da0[i] + r0[i] * dq0[i], q1[i] * da1[i] + r1[i] * dq1[i]
        of_beta += t0 * y0[i] + t1 * y1[i]
        dy0, dy1 = g0[i] + beta * t0, g1[i] + beta * t1
        of_scale0 += dy0 * x0[i]
        of_scale1 += dy1 * x1[i]
        of_shift0 += dy0
        of_shift1 += dy1
        g0[i], g1[i] = scale[0] * dy0, scale[1] * dy1
    d_scale[0] += of_scale0
    d_scale[1] += of_scale1
    d_shift[0] += of_shift0
    d_shift[1] += of_shift1
    d_beta[0] += of_beta


@njit(inline="never", **SUMS)
def _through_slopes(k, c, arrive, d):
    """Of one layer, d from the gradients of h and both U to those of p and both T, in place."""
    for j in range(len(k)):
        slope, bend, t0, t1, dh, d0, d1 = k[j], c[j], arrive[j, 1], arrive[j, 2], d[j, 0], d[j, 1], d[j, 2]
        for i in range(TILE):
            dh[i] = slope[i] * dh[i] + bend[i] * (t0[i] * d0[i] + t1[i] * d1[i])
        _times(slope, d0, d0)
        _times(slope, d1, d1)


@njit(inline="always", **OPTIONS)
def determinant(beta, entry, jacobian, i):
    """I + A at the i-th point, row by row, and its determinant."""
    q0, q1 = beta * entry[Q, i], beta * entry[Q + 1, i]
    m00, m01 = ONE + q0 * jacobian[0, i], q1 * jacobian[1, i]
    m10, m11 = q0 * jacobian[2, i], ONE + q1 * jacobian[3, i]
    return m00, m01, m10, m11, m00 * m11 - m01 * m10
