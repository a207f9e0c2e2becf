"""Numbers of the bench in words."""

from app.metrics import with_error
from app.text import signed, unbroken
from app.words import ROUNDING, apart, number
from resflow_core.estimators.moments import UNDECIDED

MOST_DECIMALS = 7


def nats(value: float, error: float) -> str:
    """A value with its standard error."""
    shown, off = with_error(value, error, MOST_DECIMALS)
    return signed(f"{shown} \N{PLUS-MINUS SIGN} {off} nats")


def mean_and_truth(mean: float, error: float, truth: float) -> str:
    """A mean of throws with its standard error, and how many of these it is from the truth."""
    if error <= ROUNDING:
        return signed(f"{mean + 0.0:.7g} nats, as is every throw")
    return f"{nats(mean, error)}: {abs(mean - truth) / error:.1f} standard errors from the truth"


def finiteness(radius: float, tail_ratio: float) -> str:
    """Why the variance is finite, or is not."""
    if radius == 0:
        return "A is nilpotent, so every law has a finite variance"
    if tail_ratio == 0:
        return f"the tail of this law falls faster than any power of {unbroken(f'ρ = {number(radius)}')}"
    square = radius**2
    if abs(square - tail_ratio) <= UNDECIDED * tail_ratio:
        return f"{unbroken(f'ρ² = q = {number(tail_ratio)}')}, where it depends on A"
    one, other = apart(square, tail_ratio)
    return unbroken(f"ρ² = {one} {'<' if square < tail_ratio else '>'} q = {other}")
