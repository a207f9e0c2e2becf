"""What the ready-made comparisons say once they are trained: a sentence each, and whether it follows.

Pure: numbers in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.features.compare.numbers import Belief, Compared
from app.text import listed
from app.ui.bands import Band, Ranking
from resflow_core.activations import ACTIVATIONS
from resflow_core.flow import FlowConfig

HARMLESS = 0.05
"""Nats of bias that nobody sees in a picture."""


@dataclass(frozen=True)
class Answer:
    """To the question of a ready-made comparison. `claims` say what the sentence rests on, and whether it is so."""

    sentence: Callable[[Compared], str]
    claims: Callable[[Compared], Mapping[str, bool]]


def _measured(found: Band | None) -> Band:
    """Of a flow that was trained. Raises ValueError where nothing was measured."""
    if found is None:
        raise ValueError("Nothing was measured yet: train first.")
    return found


def _nats(found: Band | None, digits: int = 2) -> str:
    return f"{_measured(found).mean:.{digits}f}"


def _seeds(found: Compared) -> str:
    seeds = found.by_steps.seeds
    return f"{seeds} seeds" if seeds > 1 else "1 seed"


def believes(found: Compared) -> str:
    (one,) = found.beliefs
    terms = next(score.flow.terms for score in found.scores if score.flow.label == one.label)
    sound = next(score.true for score in found.scores if score.flow.label != one.label)
    return (
        f"Trained with {terms} terms of the series, a flow reports a loss of **{_nats(one.believed)} nats**. No "
        f"density can have less than {one.entropy:.2f}. The true loss of this flow is **{_nats(one.true)}**. Trained "
        f"with the exact log det, it is {_nats(sound)} (means of {_seeds(found)})."
    )


def is_fooled(found: Compared) -> Mapping[str, bool]:
    (one,) = found.beliefs
    return {
        "what it reports is below the entropy, in every seed": one.is_impossible,
        "its true loss is above the entropy, in every seed": one.entropy is not None and one.true.low > one.entropy,
    }


def honest(found: Compared) -> str:
    (one,) = found.beliefs
    budget = next(score.flow.budget for score in found.scores if score.flow.label == one.label)
    return (
        f"With L = {budget:g} the same five terms are off by only {_size(one):.3f} nats. The flow reports a loss of "
        f"{_nats(one.believed)} nats, and its true loss is {_nats(one.true)} ({_seeds(found)})."
    )


def _size(one: Belief) -> float:
    return max(abs(one.bias.low), abs(one.bias.high))


def is_harmless(found: Compared) -> Mapping[str, bool]:
    (one,) = found.beliefs
    return {f"the bias is below {HARMLESS} nats in every seed": _size(one) < HARMLESS}


def expressive(found: Compared) -> str:
    by_budget = {score.flow.budget: score.bias for score in found.scores}
    said = [f"{_nats(bias)} at L = {budget:g}" for budget, bias in by_budget.items()]
    return (
        f"The larger the budget L, the larger the bias of log p with five terms, in nats: {listed(said)} "
        f"({_seeds(found)})."
    )


def bias_grows(found: Compared) -> Mapping[str, bool]:
    biases = [_measured(score.bias).mean for score in found.scores]
    return {"the mean bias grows with L": biases == sorted(biases)}


def terms(found: Compared) -> str:
    said = [f"{_nats(score.bias)} with {score.flow.terms}" for score in found.scores]
    return f"At L = 0.97 the bias of log p, in nats, is {listed(said)} terms ({_seeds(found)})."


def bias_falls(found: Compared) -> Mapping[str, bool]:
    biases = [_measured(score.bias).mean for score in found.scores]
    return {"the mean bias falls with the terms": biases == sorted(biases, reverse=True)}


def _ranked(ranking: Ranking, digits: int = 3) -> str:
    in_order = sorted(ranking.fits, key=lambda label: ranking.fits[label].mean)
    return listed([f"{_nats(ranking.fits[label], digits)} ({label})" for label in in_order])


def fit(found: Compared) -> str:
    ranking = found.by_steps
    sizes = [score.flow.parameters for score in found.scores]
    return (
        f"With {min(sizes):,} to {max(sizes):,} parameters each, after {ranking.steps:,} steps, the distance to the "
        f"truth (KL, in nats) is: {_ranked(ranking)} ({_seeds(found)})."
    )


def residual_is_ahead(found: Compared) -> Mapping[str, bool]:
    ranking = found.by_steps
    return {"the residual flow is the nearest to the truth": ranking.best.startswith("Residual")}


def is_ranked(found: Compared) -> Mapping[str, bool]:
    return {"all flows have a fit that is a number": bool(found.by_steps.fits) and not found.by_steps.lost}


def time(found: Compared) -> str:
    ranking = found.by_time
    return (
        f"After {ranking.seconds:.1f} s of training each, the distance to the truth (KL, in nats) is: "
        f"{_ranked(ranking)} ({_seeds(found)}). In two dimensions the exact log det costs less than any estimate."
    )


def exact_is_ahead(found: Compared) -> Mapping[str, bool]:
    return {"at equal time the exact one is the nearest to the truth": found.by_time.best == "Residual, exact"}


def dense(found: Compared) -> str:
    """What dense blocks reach beside residual ones with each activation, and who is nearest at equal time."""
    clock, pairs = found.by_time, _pairs(found)
    said = [f"{dense:.3f} against {residual:.3f} with {name}" for name, (dense, residual) in pairs.items()]
    return (
        f"After {found.by_steps.steps:,} steps, dense blocks stay so many nats from the truth, beside residual ones "
        f"with about as many parameters: {listed(said)} ({_seeds(found)}). After {clock.seconds:.1f} s of training "
        f"each, the nearest is {clock.best} with {_nats(clock.fits[clock.best], 3)}."
    )


def _pairs(found: Compared) -> dict[str, tuple[float, float]]:
    """By activation: the KL of dense and of residual blocks, in the mean over seeds, at equal steps."""
    fits, by_kind = found.by_steps.fits, dict[tuple[str, str], float]()
    for score in found.scores:
        flow = score.flow.arm.flow
        if isinstance(flow, FlowConfig) and score.flow.label in fits:
            by_kind[flow.branch, flow.activation] = fits[score.flow.label].mean
    return {
        ACTIVATIONS[activation].title: (value, by_kind["residual", activation])
        for (branch, activation), value in by_kind.items()
        if branch == "dense" and ("residual", activation) in by_kind
    }


def dense_is_behind(found: Compared) -> Mapping[str, bool]:
    pairs, nearest = _pairs(found), found.by_time.best
    dense, residual = pairs["CLipSwish"]
    return {
        "both kinds of blocks have both activations": len(pairs) == 2,
        "with CLipSwish residual blocks are nearer to the truth at equal steps": residual < dense,
        "at equal time a flow of residual blocks is the nearest": nearest.startswith("Residual"),
    }


BELIEVES = Answer(believes, is_fooled)
HONEST = Answer(honest, is_harmless)
EXPRESSIVE = Answer(expressive, bias_grows)
TERMS = Answer(terms, bias_falls)
COUPLING = Answer(fit, residual_is_ahead)
TIME = Answer(time, exact_is_ahead)
FIGURE_1 = Answer(fit, is_ranked)
DENSE = Answer(dense, dense_is_behind)
