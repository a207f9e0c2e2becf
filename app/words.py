"""Numbers in words."""

import math

from app.text import signed

# An error below is none, and a difference below only rounding.
ROUNDING = 1e-12


def number(value: float) -> str:
    """Three digits, and signs that can be read."""
    if math.isnan(value):
        return "undecided"
    if math.isinf(value):
        return "infinite"
    return signed(f"{value + 0.0:.3g}")


def apart(one: float, other: float) -> tuple[str, str]:
    """Both with three digits, or with as many more as tell them apart."""
    if not (math.isfinite(one) and math.isfinite(other)) or abs(one - other) <= ROUNDING * abs(one):
        return number(one), number(other)
    digits = next(d for d in range(3, 18) if f"{one:.{d}g}" != f"{other:.{d}g}")
    return signed(f"{one + 0.0:.{digits}g}"), signed(f"{other + 0.0:.{digits}g}")


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
