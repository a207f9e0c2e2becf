"""Numbers as people type them, and rules for several of them."""

import re
from fractions import Fraction

# Of a length, and with an exponent, that is read in no time.
NUMBER = re.compile(r"[+-]?[\d./]{1,40}(e[+-]?\d{1,2})?", re.ASCII | re.IGNORECASE)


def fraction(number: float) -> Fraction:
    """The fraction that was meant by a `number` that came from 0.45, from 1/3, or from a power of such."""
    exact = Fraction(number)
    if abs(exact.numerator) <= 10**6:  # a power of 1/2, and the like
        return exact
    near = exact.limit_denominator(10**6)
    return near if abs(float(near) - number) <= 1e-15 * abs(number) else Fraction(repr(number))


def number_text(number: float) -> str:
    """A number as people type it: 0.45, or 1/3 where decimals do not end."""
    decimal = f"{number:.10g}"
    if float(decimal) == number:
        return decimal
    meant = fraction(number)
    return str(meant) if float(meant) == number and meant.denominator <= 1000 else repr(number)


def parsed_number(text: str) -> float:
    """0.45, -1/4 or 3e-2. Raises ValueError with a sentence that says what to type."""
    text = text.strip().replace("\N{MINUS SIGN}", "-").replace(" ", "")
    try:
        if not NUMBER.fullmatch(text):
            raise ValueError
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise ValueError("type a number such as 0.45 or -1/4.") from None


def matrix_texts(entries: tuple[float, ...], prefix: str) -> dict[str, str]:
    """What the fields of a matrix hold, by their keys."""
    return {f"{prefix}matrix.{i}": number_text(entry) for i, entry in enumerate(entries)}


def point_problem(z: tuple[float, ...]) -> str | None:
    """Why these are not the coordinates of a point of the plane."""
    return None if len(z) == 2 else f"use two numbers, not {len(z)}."
