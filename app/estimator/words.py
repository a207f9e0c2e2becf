"""Numbers of the bench in words."""

import math

from app.readouts import with_error

RHO, INFINITY = "\N{GREEK SMALL LETTER RHO}", "\N{INFINITY}"


def number(value: float) -> str:
    """Three digits, and signs that can be read."""
    if math.isnan(value):
        return "undecided"
    if math.isinf(value):
        return "infinite"
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def nats(value: float, error: float) -> str:
    """A value with its standard error."""
    shown, off = with_error(value, error)
    return f"{shown} \N{PLUS-MINUS SIGN} {off} nats".replace("-", "\N{MINUS SIGN}")


def finiteness(radius: float, tail_ratio: float) -> str:
    """Why the variance is finite, or is not."""
    square = f"{RHO}² = {radius**2:.3g}"
    if radius == 0:
        return "A is nilpotent, so every law has a finite variance"
    if tail_ratio == 0:
        return f"the tail of this law falls faster than any power of {RHO} = {radius:.3g}"
    sign = "<" if radius**2 < tail_ratio else ">"
    return f"{square} {sign} q = {tail_ratio:.3g}"
