"""Elementary functions of float32 numbers that vectorise: what `math` offers is called number by number.

Each is a polynomial after a reduction of its argument (Cody & Waite 1980; coefficients of Moshier's Cephes library),
with errors below 4e-7. Adding and subtracting 1.5 * 2^23 rounds a float32 to a whole number, so these functions must
not be compiled with `reassoc`, which would drop it.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

float32, int32 = np.float32, np.int32
EXACT = frozenset({"nsz", "arcp", "contract"})
"""What the compiler may assume where rounding matters. It may never assume that there is no NaN: one that comes in must
come out."""
OPTIONS: dict[str, Any] = {"fastmath": set(EXACT), "error_model": "numpy", "boundscheck": False, "nogil": True}
"""Other threads run meanwhile, so whatever a kernel writes to belongs to its caller or its thread."""

ROUND = float32(12582912.0)
TWO_OVER_PI = float32(0.636619772)
HALF_PI = float32(1.5703125), float32(4.8351287841796875e-4), float32(3.13855707645416259765625e-7)
LOG2_E, LN_2 = float32(1.44269504088896341), (float32(0.693359375), float32(-2.12194440e-4))
LARGEST = float32(87.0)
"""Beyond exp(87), squares are not finite; below exp(-87) numbers are denormal, which is slow."""


@intrinsic
def _from_bits(typingctx, bits):
    """The float32 number with these bits."""

    def build(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], cgutils.ir.FloatType())

    return types.float32(types.int32), build


@intrinsic
def _bits(typingctx, number):
    """The bits of a float32 number."""

    def build(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], cgutils.ir.IntType(32))

    return types.int32(types.float32), build


@njit(inline="always", **OPTIONS)
def sin_cos(x):
    """sin x and cos x; the argument is reduced to a quarter of the period. For |x| < 8,000."""
    n = (x * TWO_OVER_PI + ROUND) - ROUND
    r = ((x - n * HALF_PI[0]) - n * HALF_PI[1]) - n * HALF_PI[2]
    quarter, z = int32(n), r * r
    s = ((float32(-1.9515295891e-4) * z + float32(8.3321608736e-3)) * z + float32(-1.6666654611e-1)) * z * r + r
    c = (float32(2.443315711809948e-5) * z + float32(-1.388731625493765e-3)) * z + float32(4.166664568298827e-2)
    c = c * z * z - float32(0.5) * z + float32(1)
    swapped = (quarter & int32(1)) != int32(0)
    sine, cosine = c if swapped else s, s if swapped else c
    sine = -sine if (quarter & int32(2)) != int32(0) else sine
    cosine = -cosine if ((quarter + int32(1)) & int32(2)) != int32(0) else cosine
    return sine, cosine


@njit(inline="always", **OPTIONS)
def exp(x):
    """exp x of x within +-87, and of the nearer end beyond: 2^n exp r with |r| <= log(2) / 2."""
    x = min(max(x, -LARGEST), LARGEST)
    n = (x * LOG2_E + ROUND) - ROUND
    r = (x - n * LN_2[0]) - n * LN_2[1]
    p = float32(1.9875691500e-4) * r + float32(1.3981999507e-3)
    p = (p * r + float32(8.3334519073e-3)) * r + float32(4.1665795894e-2)
    p = (p * r + float32(1.6666665459e-1)) * r + float32(5.0000001201e-1)
    return (p * r * r + r + float32(1)) * _from_bits((int32(n) + int32(127)) << int32(23))


@njit(inline="always", **OPTIONS)
def log(x):
    """log x of a positive normal number: n log 2 + log m with m from sqrt(1/2) to sqrt(2)."""
    shifted = _bits(x) - int32(0x3F3504F3)
    n = float32(shifted >> int32(23))
    m = _from_bits((shifted & int32(0x007FFFFF)) + int32(0x3F3504F3)) - float32(1)
    z = m * m
    p = float32(7.0376836292e-2) * m + float32(-1.1514610310e-1)
    p = (p * m + float32(1.1676998740e-1)) * m + float32(-1.2420140846e-1)
    p = (p * m + float32(1.4249322787e-1)) * m + float32(-1.6668057665e-1)
    p = (p * m + float32(2.0000714765e-1)) * m + float32(-2.4999993993e-1)
    p = (p * m + float32(3.3333331174e-1)) * m * z
    return p + n * LN_2[1] - float32(0.5) * z + m + n * LN_2[0]
