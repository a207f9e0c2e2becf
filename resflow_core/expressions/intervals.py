"""Intervals as pairs of arrays, (lower ends, upper ends), rounded outwards.

An interval that is the same on all cells has arrays of one number. `ZERO` and `ONE` are exact. They are recognised by
identity, and nothing is computed with them.
"""

import math
from fractions import Fraction

import numpy as np

from resflow_core.expressions.arrays import LARGEST, down, everywhere, somewhere, up
from resflow_core.expressions.functions import RELATIVE, Interval

ZERO: Interval = (np.zeros(1), np.zeros(1))
ONE: Interval = (np.ones(1), np.ones(1))
WHOLE: Interval = (np.full(1, -np.inf), np.full(1, np.inf))


def tidy(low: np.ndarray, high: np.ndarray) -> Interval:
    """The interval with infinite ends for NaN, and no lower end of +inf or upper end of -inf after an overflow."""
    low, high = np.minimum(low, LARGEST), np.maximum(high, -LARGEST)
    return _without_nan(low, -np.inf), _without_nan(high, np.inf)


def _without_nan(x: np.ndarray, instead: float) -> np.ndarray:
    return np.where(wrong, instead, x) if somewhere(wrong := np.isnan(x)) else x


def add(a: Interval, b: Interval) -> Interval:
    """a + b, rounded outwards. A sum that is 0 is exact."""
    if a is ZERO or b is ZERO:
        return b if a is ZERO else a
    sums = np.array([-(a[0] + b[0]), a[1] + b[1]])
    low, high = _unless(sums == 0, sums, up(sums))
    return tidy(-low, high)


def _unless(exact: np.ndarray, x: np.ndarray, moved: np.ndarray) -> np.ndarray:
    return np.where(exact, x, moved) if somewhere(exact) else moved


def negative(a: Interval) -> Interval:
    """-a."""
    if a is ZERO:
        return a
    low = -a[1]
    return low, low if a[0] is a[1] else -a[0]


def twice(a: Interval) -> Interval:
    """2 a, which is exact."""
    return ZERO if a is ZERO else tidy(2 * a[0], 2 * a[1])


def multiply(a: Interval, b: Interval) -> Interval:
    """a b, rounded outwards. Products with 0, 1 or -1 are exact. 0 times an infinite end is 0: no value reaches it."""
    if a is ZERO or b is ZERO:
        return ZERO
    if a is ONE or b is ONE:
        return b if a is ONE else a
    x, y = np.array(a[:1] if a[0] is a[1] else a)[:, None], np.array(b[:1] if b[0] is b[1] else b)
    products, exact = x * y, (x == 0) | (y == 0)
    if somewhere(exact):
        products = np.where(exact, 0.0, products)
    exact = exact | (np.abs(x) == 1) | (np.abs(y) == 1)
    # The four products of an end of each. The lower end is negated, so that one call of `up` rounds both outwards.
    products, exact = (part.reshape(-1, part.shape[-1]) for part in (products, exact))
    low, high = products.min(0), products.max(0)
    ends = np.array([-low, high])
    rounded = up(ends)
    if somewhere(exact):
        inexact = ~exact
        moves = np.array([(inexact & (products == end)).any(0) for end in (low, high)])
        rounded = np.where(moves, rounded, ends)
    return tidy(-rounded[0], rounded[1])


def squared(a: Interval) -> Interval:
    """a^2, rounded outwards, and at least 0."""
    if a is ZERO or a is ONE:
        return a
    ends = [x * x for x in a]
    least, most = np.minimum(*ends), np.maximum(*ends)
    exact = (a[0] == 0) | (a[1] == 0)
    least = _unless(((a[0] < 0) & (a[1] > 0)) | exact, np.zeros(1), np.maximum(down(least), 0.0))
    return tidy(least, up(most))


def is_bounded(a: Interval) -> np.ndarray:
    """Whether both ends are finite, cell by cell."""
    return np.isfinite(a[0]) & np.isfinite(a[1])


def is_whole(a: Interval) -> np.ndarray:
    """Whether it is the whole line, as for undefined values; cell by cell."""
    return np.isinf(a[0]) & np.isinf(a[1]) & (a[0] < a[1])


def whole_unless(known: np.ndarray, a: Interval) -> Interval:
    """a if it is known, else the whole line; cell by cell."""
    return a if everywhere(known) else (np.where(known, a[0], -np.inf), np.where(known, a[1], np.inf))


def enclosed(value: Fraction | float) -> Interval:
    """An interval that contains one number. A fraction that float64 holds exactly becomes a point."""
    near = float(value)
    if isinstance(value, Fraction) and Fraction(near) == value:
        point = np.full(1, near)
        return point, point
    return np.full(1, math.nextafter(near, -math.inf)), np.full(1, math.nextafter(near, math.inf))


def power_range(u: Interval, r: Fraction, order: int) -> Interval:
    """The range of the derivative of u^r of this order; the whole line if it is not defined on u."""
    low, high = u
    factor, exponent = Fraction(1), r
    for _ in range(order):
        factor, exponent = factor * exponent, exponent - 1
    if factor == 0:
        return ZERO
    whole = r.denominator == 1
    ends = [_power(x if whole else np.maximum(x, 0.0), exponent) for x in (u[:1] if low is high else u)]
    least, most = np.minimum(ends[0], ends[-1]), np.maximum(ends[0], ends[-1])
    if whole and exponent > 0 and exponent % 2 == 0:
        least = _unless((low < 0) & (high > 0), np.zeros(1), least)
    if exponent not in (0, 1):
        least, most = down(least - RELATIVE * np.abs(least)), up(most + RELATIVE * np.abs(most))
        if not whole or exponent % 2 == 0:
            least = np.maximum(least, 0.0)
    result = tidy(least, most)
    if factor != 1:
        result = multiply(result, enclosed(factor))
    known = np.full(1, True)
    if not whole:
        known = low >= 0
    if exponent < 0:
        known = (low > 0) | (high < 0) if whole else low > 0
    return whole_unless(known, result)


def _power(x: np.ndarray, exponent: Fraction) -> np.ndarray:
    """x^exponent, by |x|, with the sign if the exponent is an integer: np.power is many times slower for negative x."""
    if exponent in (0, 1, 2, -1):
        return {0: np.ones_like, 1: np.array, 2: np.square, -1: np.reciprocal}[int(exponent)](x)
    power = np.power(np.abs(x), float(exponent))
    return np.copysign(power, x) if exponent.denominator == 1 and exponent % 2 else power
