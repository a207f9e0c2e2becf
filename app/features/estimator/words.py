"""Numbers of the bench in words."""

import math
from collections.abc import Iterable

from app.estimates.sample import THROWS_EACH
from app.features.estimator.numbers import Density, ErrorBars, Noise, OneDraw, Reason, SampleMean, Series, Tail
from app.features.estimator.staircase import Unweighted
from app.metrics import with_error
from app.text import signed, unbroken
from app.words import ROUNDING, apart, number

MOST_DECIMALS = 7
UNBIASED, OFF, TRUSTED = "Is it unbiased?", "How far off is one draw?", "Can its error bar be trusted?"
"""What draws are asked, on the bench and beside lessons."""


ABOUT = (
    "A is the Jacobian of a block's branch g. For log p(x) a flow adds up the log det(I + A) of its blocks, in nats. "
    "This is the series Σ aₖ tr Aᵏ, if all eigenvalues of A are below 1 in size. One draw estimates all of it from a "
    "few terms: N says how many, and v stands in for the trace."
)
NO_IDEAL = (
    "Press *Draw 1*. Ideal draws are shown for a coin and random signs only: these come in shares that one can count."
)


def without_weights(found: Unweighted, truth: float, is_right: bool) -> str:
    """Where the mean settles then, and why there."""
    where = ("at", "above", "below")[found.side]
    said = (
        f"**{'Right' if is_right else 'Not so'}: {where} the truth.** Without the weights the mean is "
        f"{number(found.mean)} nats, and the truth is {number(truth)}."
    )
    if not found.side:
        return f"{said} No term is lost here that counts."
    sign = "negative, so the mean is too high" if found.lost < 0 else "positive, so the mean is too low"
    if (found.lost < 0) is not (found.side > 0):
        sign = "negative" if found.lost < 0 else "positive"
    return f"{said} Term k keeps only the share P(N ≥ k). Term {found.most} loses most, and it is {sign}."


def nats(value: float, error: float) -> str:
    """A value with its standard error."""
    shown, off = with_error(value, error, MOST_DECIMALS)
    return signed(f"{shown} \N{PLUS-MINUS SIGN} {off} nats")


def mean_and_truth(found: SampleMean) -> str:
    """A mean of draws with its standard error, and how many of these it is from the truth."""
    if found.is_exact:
        return signed(f"{found.mean + 0.0:.7g} nats, the same as every draw")
    return f"{nats(found.mean, found.error)}: {found.off:.1f} standard errors from the truth"


def finiteness(tail: Tail) -> str:
    """Why the variance is finite, or is not."""
    reason = tail.reason
    if reason is Reason.NILPOTENT:
        return "A is nilpotent, so every law has a finite variance"
    if reason is Reason.SHORT_TAIL:
        return f"the tail of this law falls faster than any power of {unbroken(f'ρ = {number(tail.radius)}')}"
    if reason is Reason.LIMIT:
        return f"{unbroken(f'ρ² = q = {number(tail.ratio)}')}: in this case it depends on A"
    one, other = apart(tail.radius**2, tail.ratio)
    return unbroken(f"ρ² = {one} {'<' if reason is Reason.BELOW else '>'} q = {other}")


NOT_KNOWN = (
    "An unbiased log-density does not give an unbiased density. E exp(estimate) has a closed form for 2 x 2 matrices "
    "only."
)


def cut(n_terms: int) -> str:
    return f"Cut after {n_terms} term{'s' * (n_terms != 1)}"


def truth(found: Series) -> str:
    return f"The truth is log det(I + A) = **{signed(f'{found.truth + 0.0:.6g}')}** nats."


def bound(found: Series) -> str:
    none = "" if found.is_bounded else ", which is not below 1, so there is no bound"
    sums = rf"{found.dim} \textstyle\sum_{{j>k}} \lVert A \rVert_2^j / j"
    return (
        rf"*Its bound*: ${{|\text{{bias}}| \le {sums}}}$, here with "
        rf"${{\lVert A \rVert_2 = {number(found.norm)}}}${none}."
    )


def vector(v: Iterable[float]) -> str:
    return f"v = ({', '.join(map(number, v))})"


def example(found: OneDraw, rows: int, is_sound: bool) -> str:
    """What a draw has found, beside a table of so many rows."""
    sound, mine = (signed(f"{x:.4f}") for x in (found.sound, found.estimate))
    said = (
        f"Example: draw {found.number:,} has **{unbroken(f'N = {found.n}')}** and "
        f"{unbroken(vector(found.v))}: its estimate is **{mine}**."
    )
    if rows > found.n:
        said += " The grey rows would come only with a larger N."
    if is_sound:
        return said
    gives = f"gives **{sound}**" if sound != mine else f"gives **{sound}** too"
    return f"{said} The table shows the terms of the sound estimator. With the same N and v it {gives}."


def closed_form(found: Noise, is_sound: bool) -> str:
    """How far one estimate is typically off. The sentence has no end."""
    whose = "the standard deviation of one estimate"
    if not is_sound:
        whose = "the standard deviation of the sound estimator"
    deviation = found.deviation
    if not math.isfinite(deviation):
        return f"In closed form {whose} is **{number(deviation)}**: {finiteness(found.tail)}"
    least = "at least " if found.cost.is_least else ""
    return (
        f"In closed form {whose} is **{least}{signed(f'{deviation:.4g}')} nats**. Its square, the variance, is "
        f"{number(found.cost.probe)} nats² by the probe plus {number(found.cost.roulette)} nats² by stopping at random"
    )


def expected(found: Noise, is_sound: bool) -> str:
    """The cost is that of the sound estimator; another one is under test where it is not `is_sound`."""
    mean = f"{found.cost.terms:.3g}"
    by = "" if is_sound else " by the sound estimator"
    return f"On average {'1 term is' if mean == '1' else f'{mean} terms are'} computed{by}."


def error_bar(found: ErrorBars, is_sound: bool, has_seed: bool) -> str:
    """`has_seed`: whether the seed of the other draws can be set."""
    shares = [f"**{unbroken(f'{_share(found, at)} %')}**" for at in range(len(THROWS_EACH))]
    of = zip(shares, found.repeated, THROWS_EACH, strict=True)
    within = ", ".join(f"{share} of {repeated:,} means of {n:,} draws" for share, repeated, n in of)
    said = f"Within 1.96 standard errors of the truth: {within}. It should be 95 %."
    if has_seed:
        said += " These draws do not depend on the seed that is set."
    if found.settles:
        return said
    what = "variance" if found.is_infinite else "fourth moment"
    if not is_sound:
        return f"{said} The {what} of the sound estimator is infinite here, so its error bars cannot be trusted either."
    # Where the tail is one-sided, as with an eigenvalue near -1, most samples know nothing of it.
    short = ", and too many are too short" if found.are_too_short else ""
    return f"{said} The {what} is infinite here, so the length of an error bar never settles{short}."


def _share(found: ErrorBars, at: int) -> str:
    """A share of intervals with its standard error, in percent."""
    percent, error = 100 * found.shares[at], 100 * found.errors[at]
    return " \N{PLUS-MINUS SIGN} ".join(with_error(percent, error)) if error else f"{percent:.0f}"  # none or all


def factor(found: Density, is_sound: bool) -> str:
    above = found.log_factor
    if above is None:
        return NOT_KNOWN
    if math.isinf(above):
        times = "**infinite** here"
    elif above > 20:
        times = f"**e^{above:.4g}** times det(I + A)"
    else:
        times = f"**{math.exp(above):.4g}** times det(I + A)"
    whose = "" if is_sound else "of the sound estimator "
    return f"An unbiased log-density does not give an unbiased density: E exp(estimate) {whose}is {times}."


def intervals(found: ErrorBars, is_sound: bool) -> str:
    """How many 95 % confidence intervals contain the truth, in short."""
    said = (
        f"Of {found.repeated[-1]} bars, each from {THROWS_EACH[-1]:,} draws, {_share(found, -1)} % contain the truth. "
        "It should be 95 %."
    )
    if found.settles or not is_sound:
        return said
    what = "variance" if found.is_infinite else "fourth moment"
    return f"{said} The {what} is infinite, so their length never settles."


def exponential(found: Density, is_sound: bool) -> str:
    """What E exp(estimate) is, in short."""
    if found.log_factor is None:
        return NOT_KNOWN
    whose = "" if is_sound else " of the sound estimator"
    if abs(found.log_factor) <= ROUNDING:
        return f"Here it is: E exp(estimate){whose} is {unbroken('det(I + A)')}."
    return f"No: E exp(estimate){whose} is {_times(found.log_factor)} {unbroken('det(I + A)')}."


def _times(above: float) -> str:
    if math.isinf(above):
        return "infinite, not"
    return f"e^{above:.3g} times" if above > 20 else f"{number(math.exp(above))} times"
