"""How many draws a test needs before it notices a difference, and how often it notices one.

A mean of n draws, each with the standard deviation s, is tested against a limit: k standard errors k s / sqrt(n), or a
fixed number t. If the mean is off by d, the test notices it with the probability Phi((d - limit) sqrt(n) / s).
"""

import math
from statistics import NormalDist

from app.estimates.false_alarm import normal_tail

POWER = 0.95
"""How often a test has to notice the difference that it is there for."""
QUANTILE = NormalDist().inv_cdf(POWER)


def draws_needed(difference: float, deviation: float, *, errors: float = 0.0, limit: float = 0.0) -> int:
    """How many draws a test needs to notice a difference with the probability `POWER`. The test is by so many standard
    `errors`, or by a fixed `limit`. At least two draws. Raises ValueError where no number is enough."""
    if not (math.isfinite(deviation) and abs(difference) > limit):
        raise ValueError(f"No number of draws shows a difference of {difference:g}.")
    return max(2, math.ceil(((errors + QUANTILE) * deviation / (abs(difference) - limit)) ** 2))


def power(difference: float, deviation: float, draws: int, errors: float) -> float:
    """How often the mean of so many draws is more than `errors` standard errors off, to either side, where its
    expectation is off by `difference`."""
    shift = difference * math.sqrt(draws) / deviation
    return normal_tail(errors - shift, "above") + normal_tail(errors + shift, "above")
