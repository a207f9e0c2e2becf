"""The element-wise activations of `resflow_core.activations`: raw, raw' and raw''."""

from collections.abc import Callable

import numpy as np
from numba import njit

from resflow_core import activations
from resflow_core.branches import activations as others
from resflow_core.fast.kernel.numbers import OPTIONS, exp, log, sin_cos

float32 = np.float32
ZERO, HALF, ONE, TWO = float32(0), float32(0.5), float32(1), float32(2)
SELU_SCALE, SELU_BELOW = (
    float32(others.SELU_SCALE),
    float32(others.SELU_SCALE * others.SELU_ALPHA),
)
# Abramowitz & Stegun 7.1.26: the normal distribution function up to 7.5e-8.
ERF_RATE = float32(0.3275911 * 0.7071067811865476)
ERF = tuple(float32(c / 2) for c in (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429))
DENSITY_AT_0 = float32(0.3989422804014327)

# The number of each function of `resflow_core.activations` in `activate`.
KINDS: dict[Callable, int] = {
    function: kind
    for kind, function in enumerate(
        (
            activations.sine, activations.silu, activations.elu, others.selu, activations.tanh,
            activations.softplus, others.gelu, others.mish, activations.relu, others.leaky_relu,
        )
    )
}  # fmt: skip
SINE, SILU, ELU, SELU, TANH, SOFTPLUS, GELU, MISH, RELU, LEAKY_RELU = range(len(KINDS))


@njit(inline="never", **OPTIONS)
def activate(kind, t, value, slope, curvature):
    """Fill the rows `value`, `slope` and `curvature` with raw(t), raw'(t) and raw''(t) of the row t, by the formulas of
    `resflow_core.activations`."""
    if kind == SINE:
        for k in range(len(t)):
            sine, cosine = sin_cos(t[k])
            value[k], slope[k], curvature[k] = sine, cosine, -sine
    elif kind == SILU:
        for k in range(len(t)):
            s = ONE / (ONE + exp(-t[k]))
            y = t[k] * s
            up = y + s * (ONE - y)
            value[k], slope[k], curvature[k] = y, up, (ONE - s) * (TWO * up - y)
    elif kind == ELU:
        for k in range(len(t)):
            e = exp(min(t[k], ZERO))
            value[k] = t[k] if t[k] > ZERO else e - ONE
            slope[k] = e
            curvature[k] = ZERO if t[k] > ZERO else e
    elif kind == SELU:
        for k in range(len(t)):
            e = SELU_BELOW * exp(min(t[k], ZERO))
            value[k] = SELU_SCALE * t[k] if t[k] > ZERO else e - SELU_BELOW
            slope[k] = SELU_SCALE if t[k] > ZERO else e
            curvature[k] = ZERO if t[k] > ZERO else e
    elif kind == TANH:
        for k in range(len(t)):
            y = ONE - TWO / (exp(TWO * t[k]) + ONE)
            up = ONE - y * y
            value[k], slope[k], curvature[k] = y, up, -TWO * y * up
    elif kind == SOFTPLUS:
        for k in range(len(t)):
            e = exp(-abs(t[k]))
            s = ONE / (ONE + e)
            s = s if t[k] >= ZERO else ONE - s
            value[k] = max(t[k], ZERO) + log(ONE + e)
            slope[k], curvature[k] = s, s * (ONE - s)
    elif kind == GELU:
        for k in range(len(t)):
            density = DENSITY_AT_0 * exp(-HALF * t[k] * t[k])
            u = ONE / (ONE + ERF_RATE * abs(t[k]))
            tail = ((((ERF[4] * u + ERF[3]) * u + ERF[2]) * u + ERF[1]) * u + ERF[0]) * u * density / DENSITY_AT_0
            below = ONE - tail if t[k] > ZERO else tail
            value[k], slope[k] = t[k] * below, below + t[k] * density
            curvature[k] = (TWO - t[k] * t[k]) * density
    elif kind == MISH:
        for k in range(len(t)):
            # tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2); beyond exp(20) it is 1 in single precision.
            e = exp(min(t[k], float32(20)))
            both = e * (e + TWO)
            w, s = both / (both + TWO), e / (ONE + e)
            up = (ONE - w * w) * s
            value[k], slope[k] = t[k] * w, w + t[k] * up
            curvature[k] = up * (TWO + t[k] * (ONE - s - TWO * w * s))
    elif kind == RELU:
        for k in range(len(t)):
            value[k] = max(t[k], ZERO)
            slope[k] = ONE if t[k] > ZERO else ZERO
            curvature[k] = ZERO
    else:
        for k in range(len(t)):
            value[k] = t[k] if t[k] > ZERO else float32(0.01) * t[k]
            slope[k] = ONE if t[k] > ZERO else float32(0.01)
            curvature[k] = ZERO
