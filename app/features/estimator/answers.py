"""What the screen opens with, in sentences, and what these rest on. Pure: numbers in."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.features.estimator.numbers import GAUSSIAN, SIGNS, ByHand
from app.features.estimator.verdicts import Products
from app.features.estimator.words import finiteness
from app.text import signed, unbroken
from app.words import ROUNDING, number

PROBES = {
    GAUSSIAN: "the Gaussian probe (a random vector)",
    SIGNS: "the Rademacher probe (random signs)",
    "sphere": "the probe on a sphere (a random direction)",
    "orthogonal": "the orthogonal probe (a random direction)",
}
MOST_OFF = 4.0
"""Standard errors between a mean and the truth that chance explains."""
LEAST_SEEN = 5.0
"""Standard errors that a bias must have to be seen."""


def draws_for(variance: float, bias: float) -> int:
    """How many draws bring the standard error of their mean to that of a bias."""
    return max(1, math.ceil(variance / bias**2))


def hand_sentence(found: ByHand) -> str:
    """What a draw costs, and what cutting does. Of the sound estimator."""
    cut = f"The series cut after {found.n_terms} term{'s' * (found.n_terms != 1)}"
    cuts = (
        f"{cut} leaves nothing out." if found.is_cut_exact else f"{cut} is always off by **{number(found.bias)} nats**"
    )
    stop = "" if found.is_cut_exact else "."
    if not math.isfinite(found.deviation):
        is_open = math.isnan(found.deviation)
        amount = "may be infinite" if is_open else "is **infinite**"
        return (
            f"Draws are exact on average, but their variance {amount}: {finiteness(found.tail)}. Standard errors mean "
            f"nothing then. {cuts}{stop}"
        )
    if found.deviation <= ROUNDING:
        return f"Every draw is exact: there is no noise. {cuts}{stop}"
    one = f"One draw is typically off by **{_two(found.deviation)} nats**, but draws are exact on average."
    if found.is_cut_exact:
        return f"{one} {cuts}"
    return (
        f"{one} {cuts}. After {_draws(found.deviation**2, found.bias)} the standard error of their mean is smaller "
        f"than that bias. With fewer draws the cut series, computed with exact traces, is nearer. {_causes(found)}"
    )


def _draws(variance: float, bias: float) -> str:
    n = draws_for(variance, bias)
    return f"**{_count(n)}** draw{'s' * (n > 1)}"


def _count(n: int) -> str:
    """Two digits of a large number."""
    if n >= 10**7:
        return number(n)
    return f"{n:,}" if n < 100 else f"{float(f'{n:.2g}'):,.0f}"


def _two(value: float) -> str:
    return signed(f"{value:.2g}")


def _causes(found: ByHand) -> str:
    """Which part of the variance is whose, and what another probe would change."""
    share = 100 * found.by_stopping / found.deviation**2
    whose = PROBES[found.probe]
    split = f"Random stopping causes {_two(share)} % of a draw's variance, and {whose} causes the rest"
    if share <= ROUNDING:
        split = f"{whose[0].upper()}{whose[1:]} causes all of a draw's variance"
    elif share > 100 * (1 - ROUNDING):
        split = f"Random stopping causes all of a draw's variance: {whose} adds nothing here"
    needed = draws_for(found.other, found.bias) if math.isfinite(found.other) else 0
    another = "a Gaussian probe (a random vector)" if found.probe == SIGNS else "random signs (Rademacher)"
    if not needed:
        return f"{split}."
    if needed == 1:
        return f"{split}. With {another} even one draw is typically closer to the truth."
    now = draws_for(found.deviation**2, found.bias)
    return f"{split}. With {another} it would be {_count(needed)} draws instead of {_count(now)}."


def contradiction(found: ByHand, means: Sequence[float], draws: int) -> str:
    """What speaks against the sentence, in the means of some draws; "" if nothing does."""
    said = []
    if not is_unbiased(found, means, draws):
        worst = max((mean - found.truth for mean in means), key=abs)
        said.append(f"But a mean of {draws:,} draws is off by {number(worst)} nats, more than chance explains.")
    if not is_seen(found, draws):
        said.append(f"After {draws:,} draws the standard error is too large to see this bias.")
    return " ".join(said)


def is_unbiased(found: ByHand, means: Sequence[float], draws: int) -> bool:
    return max(abs(mean - found.truth) for mean in means) <= MOST_OFF * found.error(draws)


def is_seen(found: ByHand, draws: int) -> bool:
    return abs(found.bias) >= LEAST_SEEN * found.error(draws)


def hand_claims(found: ByHand, means: Sequence[float], draws: int) -> Mapping[str, bool]:
    return {
        f"every mean of {draws:,} draws is within {MOST_OFF:g} standard errors of the truth": is_unbiased(
            found, means, draws
        ),
        f"the bias of the cut series is at least {LEAST_SEEN:g} standard errors after {draws:,} draws": is_seen(
            found, draws
        ),
    }


def cost_sentence(found: Products) -> str:
    """What the cheapest geometric law costs beside the paper's."""
    if found.geometric is None:
        return (
            f"Here **no p** gives a finite variance: {finiteness(found.tail)}."
            if found.tail.radius
            else "Here the series ends by itself. Cut it there: random stopping is not needed."
        )
    law, cost = found.geometric
    terms = f"{law.n_exact} exact term{'s' * (law.n_exact != 1)}"
    best = f"**{unbroken(f'p = {law.p:.3g}')}** (the chance to stop) after {terms}"
    if not math.isfinite(found.paper.product):
        return (
            f"Here {best} costs {number(cost.product)} nats² (variance times expected terms). With the paper's "
            f"{unbroken('p = 0.5')} the variance is **infinite**."
        )
    if cost.product <= ROUNDING:
        return "Here the estimates have no noise, so the law does not matter."
    times = found.paper.product / cost.product
    if times < 1.005:
        return (
            f"Here no p costs less than the paper's: {best} costs {number(cost.product)} nats² (variance times "
            f"expected terms), and so does {unbroken('p = 0.5')} after 3."
        )
    return (
        f"Here the cheapest choice is {best}. The paper's {unbroken('p = 0.5')} after 3 costs **{_two(times)} times as "
        f"much**. The cost is the variance times the expected terms: {number(found.paper.product)} against "
        f"{number(cost.product)} nats²."
    )


@dataclass(frozen=True)
class OnPlane:
    """The shares of held-out points where the variance is infinite in some block, one for each flow."""

    shares: tuple[float, ...]
    safe: tuple[float, ...]  # p up to which it is finite for all but 1 % of the points
    ratio: float  # q of the law

    @property
    def mean(self) -> float:
        return float(np.mean(self.shares))


def plane_sentence(found: OnPlane, whose: str) -> str:
    """`whose` flows they are: their seeds, or the step of one."""
    low, high = (100 * share for share in (min(found.shares), max(found.shares)))
    if not high:
        return (
            f"The variance of this estimate is infinite at **no** held-out point ({whose}), and its mean has no bias."
        )
    most = min(found.safe)
    spread = f"{_whole(low)} to {_whole(high)} %, " if len(found.shares) > 1 else ""
    return (
        f"At **{_whole(100 * found.mean)} %** of the held-out points the variance of this estimate is infinite, "
        f"although the estimate is unbiased ({spread}{whose}). With a chance to stop of {unbroken(f'p = {most:.2g}')} "
        "or less it would be finite at 99 % of them. The paper uses 0.5."
    )


def _whole(percent: float) -> str:
    return f"{percent:.0f}" if percent >= 10 else f"{percent:.2g}"


def plane_claims(found: OnPlane) -> Mapping[str, bool]:
    return {"the variance is infinite at some held-out points, in every seed": min(found.shares) > 0}
