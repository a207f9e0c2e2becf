"""Numbers of the bench in words."""

import math

from app.estimator.words import number
from app.text import signed


def order_name(order: float) -> str:
    """The order of a norm: ∞, or three digits."""
    return "∞" if math.isinf(order) else f"{order:.3g}"


def wide(value: float) -> str:
    """A number that may span many decades: three digits, or as a power of ten."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if not math.isfinite(value) or value == 0 or 1e-3 <= abs(value) < 999.5:
        return number(value)
    if 999.5 <= abs(value) < 99950:
        return signed(f"{float(f'{value:.3g}'):,.0f}")
    return signed(f"{value:.1e}")
