"""Intervals of numbers, as arrays of their lower and upper ends, rounded outwards."""

import math
from fractions import Fraction

import numpy as np

from resflow_core.formula.functions import RELATIVE, Interval

LARGEST = np.finfo(float).max


def down(x: np.ndarray) -> np.ndarray:
    """The next number below."""
    return np.nextafter(x, -np.inf)


def up(x: np.ndarray) -> np.ndarray:
    """The next number above."""
    return np.nextafter(x, np.inf)


def tidy(low: np.ndarray, high: np.ndarray) -> Interval:
    """Without NaN, and with ends that an overflow did not cross."""
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    return np.minimum(low, LARGEST), np.maximum(high, -LARGEST)


def add(a: Interval, b: Interval) -> Interval:
    """a + b; a sum that is 0 is exact."""
    low, high = a[0] + b[0], a[1] + b[1]
    return tidy(np.where(low == 0, low, down(low)), np.where(high == 0, high, up(high)))


def negative(a: Interval) -> Interval:
    """-a."""
    return -a[1], -a[0]


def multiply(a: Interval, b: Interval) -> Interval:
    """a b; a product with 0 or 1 is exact. An end at infinity is no number of the interval: 0 times it is 0."""
    low, high = np.full(np.broadcast_shapes(a[0].shape, b[0].shape), np.inf), -np.inf
    for x in a:
        for y in b:
            exact = (x == 0) | (y == 0)
            product = np.where(exact, 0.0, x * y)
            exact = exact | (np.abs(x) == 1) | (np.abs(y) == 1)
            low = np.minimum(low, np.where(exact, product, down(product)))
            high = np.maximum(high, np.where(exact, product, up(product)))
    return tidy(low, high)


def is_bounded(a: Interval) -> np.ndarray:
    """Whether both ends are numbers."""
    return np.isfinite(a[0]) & np.isfinite(a[1])


def is_whole(a: Interval) -> np.ndarray:
    """Whether it is the whole line, as of what is not defined."""
    return np.isinf(a[0]) & np.isinf(a[1]) & (a[0] < a[1])


def whole_unless(known: np.ndarray, a: Interval) -> Interval:
    """a where it is known, else the whole line."""
    return np.where(known, a[0], -np.inf), np.where(known, a[1], np.inf)


def enclosed(value: Fraction | float, like: np.ndarray) -> Interval:
    """An interval around one number, as an array like another."""
    near = float(value)
    if isinstance(value, Fraction) and Fraction(near) == value:
        return np.full_like(like, near), np.full_like(like, near)
    return np.full_like(like, math.nextafter(near, -math.inf)), np.full_like(like, math.nextafter(near, math.inf))


def power_range(u: Interval, r: Fraction, order: int) -> Interval:
    """The range of the derivative of u^r of this order, of the whole line where it is not defined."""
    low, high = u
    factor, exponent = Fraction(1), r
    for _ in range(order):
        factor, exponent = factor * exponent, exponent - 1
    if factor == 0:
        return np.zeros_like(low), np.zeros_like(low)
    whole = r.denominator == 1
    ends = [np.power(x if whole else np.maximum(x, 0.0), float(exponent)) for x in u]
    least, most = np.minimum(*ends), np.maximum(*ends)
    if whole and exponent > 0 and exponent % 2 == 0:
        least = np.where((low < 0) & (high > 0), 0.0, least)
    if exponent not in (0, 1):
        least, most = down(least - RELATIVE * np.abs(least)), up(most + RELATIVE * np.abs(most))
        if not whole or exponent % 2 == 0:
            least = np.maximum(least, 0.0)
    result = multiply(tidy(least, most), enclosed(factor, low))
    known = np.full(low.shape, True)
    if not whole:
        known &= low >= 0
    if exponent < 0:
        known &= (low > 0) | (high < 0) if whole else low > 0
    return whole_unless(known, result)
