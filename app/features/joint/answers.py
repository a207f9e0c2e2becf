"""What this screen answers, as sentences, and whether they follow. Pure: numbers in."""

import math
from collections.abc import Mapping, Sequence

from app.contests import LEAST_SEEDS, Outcome, of_loss
from app.features.joint.numbers import Claim, Cost, Told, Unseen, Verdict
from app.words import wide

CONFIDENT = 0.9
"""A share from which a classifier is called confident."""
ALMOST_ZERO = 1e-3
"""Of the density that nearly all held-out points exceed."""


def does_both(own: Sequence[float], plain: Sequence[float]) -> str:
    """How often the flow's classifier is right on held-out points, beside one without a flow: shares, seed by seed."""
    return (
        f"Yes. The flow learns the density, and it classifies **{_percent(own)}** of held-out points correctly. A "
        f"plain classifier reaches {_percent(plain)}."
    )


def far_away(found: Sequence[Unseen]) -> str:
    """How sure both classifiers are on the circle, and whether the density can tell, over all seeds."""
    plain, own = (_percent([getattr(one, name) for one in found]) for name in ("plain", "own"))
    seeds = f" ({len(found)} seeds)" if len(found) > 1 else ""
    if all(_are_confident(one) for one in found):
        said = f"both classifiers stay confident: the plain one is **{plain}** sure, the flow's is **{own}** sure"
    else:
        said = f"the plain classifier is **{plain}** sure, the flow's is **{own}** sure"
    return f"Far from the data {said}{seeds}. {_density(found)}"


def _density(found: Sequence[Unseen]) -> str:
    if not all(one.is_learned for one in found):
        return "At λ = 0 the density is not learned, so it cannot tell."
    if not all(one.doubts for one in found):
        return "The density there is not everywhere below that of the data, so the flow cannot tell yet."
    ratio = max(_ratio(one) for one in found)
    if ratio > ALMOST_ZERO:
        return "The density there is lower than at 99 % of the data, so the flow can tell, but not by much."
    return "**The density there is almost zero, so the flow can tell.** " + at_most(ratio)


def at_most(ratio: float) -> str:
    """How low the density on the circle is."""
    rounded = 10.0 ** math.ceil(math.log10(max(ratio, 1e-300)))
    return f"At 99 % of held-out points the density is more than {wide(1 / rounded).removeprefix('1.0·')} times larger."


def _ratio(found: Unseen) -> float:
    """The largest density on the circle over the one that 99 % of held-out points exceed."""
    return math.exp(min(0.0, found.largest - found.usual))


def _are_confident(found: Unseen) -> bool:
    return min(found.plain, found.own) >= CONFIDENT


def _percent(shares: Sequence[float]) -> str:
    return f"{100 * sum(shares) / len(shares):.0f} %"


def tells(found: Sequence[Unseen]) -> Mapping[str, bool]:
    """What the opening rests on."""
    return {
        f"both classifiers are {100 * CONFIDENT:.0f} % sure or more, in every seed": all(map(_are_confident, found)),
        "the density on the whole circle is below that of the data, in every seed": all(one.doubts for one in found),
        "it is almost zero there": all(_ratio(one) <= ALMOST_ZERO for one in found),
    }


def costs(found: Claim, data: str) -> str:
    """What the density costs each classifier at the largest weight, and what becomes of the paper's claim."""
    cost = found.costs[-1]
    lost = f"the residual flow {_lost(cost.residual.mean)} of accuracy and {cost.peer} {_lost(cost.other.mean)}"
    return (
        f"{data}: when a flow also learns the density (λ = {cost.weight:g}), {lost} ({cost.steps:,} steps, "
        f"{cost.seeds} seed{'s' * (cost.seeds > 1)}). {_verdict(cost)}"
    )


def _lost(points: float) -> str:
    verb = "loses" if points >= 0 else "gains"
    return f"{verb} **{abs(points):.1f} points**"


def _verdict(cost: Cost) -> str:
    if cost.verdict is Verdict.SHOWS:
        return "This **agrees with the paper**, which says that residual blocks lose less than coupling blocks."
    if cost.verdict is Verdict.OPPOSITE:
        return "This **contradicts the paper**: here residual blocks lose more than coupling blocks."
    if cost.verdict is Verdict.NOT_DECIDED:
        return "The paper says that residual blocks lose less than coupling blocks. **The seeds do not decide**."
    return (
        "The paper says that residual blocks lose less than coupling blocks. **The seeds are too few to decide**: it "
        f"takes {LEAST_SEEDS} at least."
    )


def costs_claims(found: Claim) -> Mapping[str, bool]:
    """Every verdict has its own words, so only that there is one is claimed."""
    return {"both losses are measured at every weight": len(found.costs) == 2}


def few_labels(found: Sequence[Told]) -> str:
    """Whether the density of all points helps a classifier that is told few classes, on each set."""
    return "\n".join(f"- {_about(one)}" for one in found)


def _about(one: Told) -> str:
    weights = sorted(one.by_weight)
    without, with_it = (_mean(one.by_weight[weight]) for weight in (weights[0], weights[-1]))
    noise = f" and {one.noise} coordinates of noise" if one.noise else ""
    return (
        f"{one.data}, {one.labels} labels{noise}: accuracy **{without:.0f} %** without the density (λ = 0) and "
        f"**{with_it:.0f} %** with it (λ = {weights[-1]:g}). {_in_seeds(one.gained)}"
    )


def _in_seeds(gained: Sequence[float]) -> str:
    """In how many seeds the density helps, and what the exact test says of it."""
    better, seeds = sum(points > 0 for points in gained), len(gained)
    said = f"it helps in {better} of {seeds} seeds"
    outcome = of_loss([0.0] * seeds, gained).outcome
    if outcome is Outcome.AHEAD:
        return f"**The density helps**: {said}."
    if outcome is Outcome.BEHIND:
        return f"**The density does harm**: {said}."
    return f"**The seeds do not decide** whether the density helps: {said}."


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def labels_claims(found: Sequence[Told]) -> Mapping[str, bool]:
    """Every verdict has its own words, so only that all is measured is claimed."""
    return {"every set has a number at every weight": all(all(of.values()) for of in (one.by_weight for one in found))}
