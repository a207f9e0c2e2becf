"""The verdict on the exact first trace, computed from stored numbers: whether the estimate stays unbiased and has less
noise, and what becomes of flows that are trained by it. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.contests import Outcome, of_loss
from app.evidence import Stored
from app.features.paper import told
from app.features.paper.compared import Claimed, by, found, interval_of, ruled
from app.features.paper.decided import every_set
from app.features.paper.found import Found, Kind, Picture
from app.features.paper.noise import EXACT_TRACE, ROULETTE
from app.features.paper.verdicts import MOST_OFF
from app.ui.bands import band

NOISES = ("value", "gradient")
"""The noises that are stored, of which each is a case."""
CLAIMED = Claimed(
    "with an exact first trace the variances of log p(x) and of the gradient are smaller",
    "one of them is larger",
    "in every case",
    "in some case",
    has_equal=False,
    of_same_flows=True,
)
Runs = Sequence[Mapping[str, Any]]


def less_noise(stored: Stored) -> Found:
    """Less noise of value and gradient, in the plane and beyond it, after few steps and after more; and unbiased."""
    values: dict[str, Mapping[str, Sequence[float]]] = {}
    rows: dict[str, Sequence[float]] = {}
    numbers: dict[str, str] = {"flows": str(len(stored.seeds)), "most_off": f"{MOST_OFF:g}"}
    parts: list[str] = []
    furthest, least_finite = 0.0, 1.0
    for place, (name, case) in zip(told.PLACES, stored.settings["cases"].items(), strict=False):
        runs, steps = stored.found[name], [str(step) for step in stored.settings["steps"]]
        for step in steps:
            values |= {f"{name}, {step} steps, {key}": _noises(runs, step, key) for key in NOISES}
            rows[f"{case['title']}, {step} steps"] = _times(_noises(runs, step, "gradient"))
        furthest = max(furthest, *(_off(runs, step) for step in steps))
        least_finite = min(least_finite, *(run["noise"][step]["finite"] for run in runs for step in steps))
        part, own = told.placed(*_of_case(case, runs, steps), place)
        parts.append(part)
        numbers |= own
    numbers |= {"off": f"{furthest:.1f}", "finite": f"{100 * least_finite:.0f}"}
    result = ruled(values, lambda values: every_set(values, EXACT_TRACE), CLAIMED)
    result = replace(
        result,
        rule=f"{result.rule} It does not show either if the mean of all draws is more than {{most_off}} standard "
        "errors from the exact value (furthest now {off}).",
    )
    if furthest > MOST_OFF:
        result = replace(result, kind=Kind.NOT_HERE)
        parts.insert(0, "A mean of all draws is {off} standard errors from the exact value.")
    says = f"{{flows}} flows were trained on each data set. {' '.join(parts)} {WHY}"
    axis = "variance of the gradient, by roulette / with an exact first trace"
    picture = Picture(rows, axis, "times", log=True, mark=("equal", 1.0))
    return found(result, says, numbers, picture)


WHY = (
    "For log p(x) only points with a finite variance count: {finite} % of the points at least. Elsewhere it is "
    "infinite either way."
)


def _of_case(case: Mapping[str, Any], runs: Runs, steps: Sequence[str]) -> tuple[str, dict[str, str]]:
    """A sentence on one data set, and its numbers."""
    said: list[str] = []
    losses = {way: [run["loss"][way] for run in runs] for way in (EXACT_TRACE, ROULETTE)}
    contest = of_loss(losses[EXACT_TRACE], losses[ROULETTE])
    numbers = {
        "title": case["title"].capitalize(),
        "dim": str(case["dim"]),
        "trained": steps[-1],
        "loss": case["loss"],
        "ours": told.nats(band(losses[EXACT_TRACE])),
        "theirs": told.nats(band(losses[ROULETTE])),
    } | interval_of(contest)
    for step, key in zip(steps, "klmn", strict=False):
        shares = {
            way: [run["noise"][step][way]["gradient"] / run["noise"][step]["batches"] for run in runs]
            for way in (EXACT_TRACE, ROULETTE)
        }
        numbers |= {
            f"steps_{key}": step,
            f"value_{key}": str(band(_times(_noises(runs, step, "value")))),
            f"gradient_{key}": str(band(_times(_noises(runs, step, "gradient")))),
            f"ours_{key}": _percent(shares[EXACT_TRACE]),
            f"theirs_{key}": _percent(shares[ROULETTE]),
        }
        said.append(
            f"after {{steps_{key}}} steps log p(x) has {{value_{key}}} times less variance, the gradient "
            f"{{gradient_{key}}} times less ({{ours_{key}}} % of that between batches, not {{theirs_{key}}} %)"
        )
    return (
        f"{{title}} (d = {{dim}}): {'; '.join(said)}. Trained by it for {{trained}} steps, flows have {{ours}} "
        f"{{loss}}, {THAN[contest.outcome]} {{theirs}} by roulette for all terms, {by(contest, case['unit'])}.",
        numbers,
    )


THAN = {
    Outcome.AHEAD: "better than",
    Outcome.BEHIND: "worse than",
    Outcome.NOT_DECIDED: "not decidedly better or worse than",
}


def _percent(shares: Sequence[float]) -> str:
    """The mean of shares in per cent, with two digits at least."""
    mean = 100 * band(shares).mean
    return f"{mean:.0f}" if mean >= 10 else f"{mean:.2g}"


def _noises(runs: Runs, step: str, key: str) -> dict[str, list[float]]:
    """The variance by each way, seed by seed."""
    return {way: [run["noise"][step][way][key] for run in runs] for way in (EXACT_TRACE, ROULETTE)}


def _times(ways: Mapping[str, Sequence[float]]) -> list[float]:
    """How many times smaller it is, seed by seed."""
    return [theirs / ours for ours, theirs in zip(ways[EXACT_TRACE], ways[ROULETTE], strict=True)]


def _off(runs: Runs, step: str) -> float:
    """By how many standard errors the mean of all seeds is off the exact value."""
    ours = [run["noise"][step][EXACT_TRACE] for run in runs]
    return abs(sum(one["off"] for one in ours)) / math.sqrt(sum(one["se"] ** 2 for one in ours))
