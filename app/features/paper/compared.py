"""The verdicts on claims that one flow is ahead of others, from stored numbers: one function each. Pure.

Which flows stand against each other was named before they ran, and is the same on every set. `decided` has the rules.
No sentence here has a digit: numbers, also those of settings and of the rule, come from what is stored or are computed.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from app.contests import LEVEL, MARGIN, Contest, nearest, of_kl, of_loss
from app.evidence import Stored
from app.features.paper import told
from app.features.paper.decided import (
    Decided,
    OneSet,
    Values,
    against,
    chances,
    decided,
    every_set,
    kind_of,
    of_every,
    of_some,
)
from app.features.paper.found import Found, Kind, Picture
from app.features.paper.told import PLACES
from app.text import listed, signed
from app.ui.bands import band
from app.words import order_name
from resflow_core.lipschitz import NORM_CHAINS

RESIDUAL = "Residual"
"""What the names of residual flows begin with in what is stored."""
SURE = f"{100 * (1 - 2 * LEVEL):.0f}"
"""Per cent of an interval whose two ends are one-sided limits."""
Sets = Callable[[Values], Mapping[str, OneSet]]


@dataclass(frozen=True)
class Claimed:
    """What a card claims, in the words of its rule: what is `ahead` of what, what `behind` means, and what the sets
    are called if all or some of them are meant."""

    ahead: str
    behind: str
    all_sets: str = "on every set"
    some_set: str = "on some set"
    has_equal: bool = True
    of_same_flows: bool = False
    """Whether what the sets hold was measured of the same flows."""


@dataclass(frozen=True)
class Ruled:
    """A verdict, the rule that leads to it with the numbers of now, and what chance would say."""

    kind: Kind
    ahead: tuple[str, ...]
    rule: str
    chance: str
    numbers: Mapping[str, str]


def ruled(values: Values, sets: Sets, claimed: Claimed) -> Ruled:
    """By the sets that are made of the values of every flow and seed."""
    seeds = min(len(of) for flows in values.values() for of in flows.values())
    result = decided(sets(values))
    rule = (
        f"shows if {claimed.ahead} {claimed.all_sets} (p ≤ {{level}}, now {{p_shows}}); in part, if {claimed.some_set} "
        f"(now {{p_in_part}}); does not show if {claimed.behind} {claimed.some_set} (now {{p_not_here}}); "
    )
    if claimed.has_equal:
        rule += "equal if two such tests say of each ratio that it is within {margin} % of one (now {p_equal}); "
    rule += "else it is not decided. The first of these that holds counts. "
    rule += "{rule_seeds} seeds cannot give a p below {least}."
    chance = chances(values, lambda renamed: kind_of(sets(renamed)), together=claimed.of_same_flows)
    return Ruled(result.kind, result.ahead, rule, CHANCE, _numbers(result, seeds, chance))


CHANCE = (
    "if all flows were equal, {rule_seeds} seeds would say “shows” in {chance_shows} % of cases, “in part” in "
    "{chance_in_part} %, and “does not show” in {chance_not_here} %."
)


def _numbers(of: Decided, seeds: int, chance: Mapping[Kind, float]) -> dict[str, str]:
    numbers = {
        "level": f"{LEVEL:g}",
        "margin": f"{100 * (math.exp(MARGIN) - 1):.0f}",
        "rule_seeds": str(seeds),
        "least": _p(2.0**-seeds),
    }
    for kind, name in ((Kind.SHOWS, "shows"), (Kind.IN_PART, "in_part"), (Kind.NOT_HERE, "not_here")):
        numbers |= {f"p_{name}": _p(*of.p[kind]), f"chance_{name}": f"{100 * chance[kind]:.1f}"}
    return numbers | {"p_equal": _p(*of.p[Kind.EQUAL])}


def _p(p: float, times: int = 1) -> str:
    """With the number of comparisons that it is multiplied by."""
    return f"{p:.3g}" + (f" times {times}" if times > 1 and p < 1 else "")


def found(result: Ruled, says: str, numbers: Mapping[str, str], picture: Picture) -> Found:
    """The verdict on a card."""
    return Found(result.kind, says, {**numbers, **result.numbers}, picture, result.rule, result.chance)


def interval_of(contest: Contest) -> dict[str, str]:
    """How far a flow is from another, with the 90 % interval."""
    low, high = contest.interval
    numbers = {"by": contest.mean, "low": low, "high": high}
    return {name: signed(contest.shown(difference)) for name, difference in numbers.items()} | {"sure": SURE}


def by(contest: Contest, unit: str) -> str:
    """The words for `interval_of`."""
    interval = "({sure} % interval {low} to {high})"
    return f"ratio {{by}} {interval}" if contest.is_ratio else f"difference {{by}} {unit} {interval}"


def bias(stored: Stored) -> Found:
    """Biased log densities, whose bias grows with what a block may do: from each L to the next it is larger."""
    values: Values = {"bias": {label: told.last(arms, "held_bias") for label, arms in stored.found.items()}}
    labels = list(stored.found)

    def pairs(values: Values) -> dict[str, OneSet]:
        of = values["bias"]
        return {after: of_every({before: of_kl(of[before], of[after])}) for before, after in pairwise(labels)}

    claimed = Claimed("the bias grows", "it shrinks", "from each L to the next", "from some L to the next")
    of = {label: band(own) for label, own in values["bias"].items()}
    numbers = told.settings(stored) | {
        "first": labels[0],
        "last": labels[-1],
        "least_bias": str(of[labels[0]]),
        "most_bias": str(of[labels[-1]]),
        "means": listed([f"{of[label].mean:.2f} with {_budget(label)}" for label in labels[1:-1]]),
    }
    says = (
        "the larger L, the more a block can express. The flow overestimates its log density, by "
        "{least_bias} nats with {first}, and by {most_bias} with {last}; between, by {means} ({seeds} seeds, {steps} "
        "steps on the {data} data). The few terms and the values of L were chosen to show an effect."
    )
    picture = Picture(
        {label.partition(", ")[2] or label: own for label, own in values["bias"].items()},
        "believed minus true log p(x)",
        "nats",
        log=True,
    )
    return found(ruled(values, pairs, claimed), says, numbers, picture)


def _budget(label: str) -> str:
    return label.rpartition(", ")[2]


def saturation(stored: Stored) -> Found:
    """Activations without derivative saturation: fewer saturated units, and a better fit."""
    shares = {name: [100 * arm["saturated"] for arm in arms] for name, arms in stored.found.items()}
    values: Values = {
        "saturated": shares,
        "fit": {name: told.last(arms, "held_kl") for name, arms in stored.found.items()},
    }

    claimed = Claimed(
        "LipSwish has the smaller share of saturated units, and the smaller KL,",
        "ELU has the smaller one",
        "in both",
        "in one of the two",
        of_same_flows=True,
    )
    straight = {name: band([100 * arm["straight"] for arm in arms]) for name, arms in stored.found.items()}
    fit = against(values, "lipswish")["fit"]["elu"]
    numbers = told.settings(stored) | interval_of(fit)
    for name in stored.found:
        numbers |= {
            name: told.percent(band(shares[name])),
            f"{name}_straight": told.percent(straight[name]),
            f"{name}_kl": str(band(values["fit"][name])),
        }
    says = (
        "with ELU {elu} % of all units are saturated, which means steep and straight, and with LipSwish {lipswish} % "
        "({seeds} seeds, {steps} steps on the {data} data). The definition favours LipSwish, which is less steep in "
        "its tails. Units that are straight, steep or not, are {elu_straight} % with ELU and {lipswish_straight} % "
        f"with LipSwish. The KL is {{elu_kl}} nats with ELU and {{lipswish_kl}} with LipSwish, {by(fit, 'nats')}."
    )
    picture = Picture(
        {"ELU": shares["elu"], "LipSwish": shares["lipswish"]}, "units whose derivative is saturated", "%", log=True
    )
    return found(ruled(values, lambda values: every_set(values, "lipswish"), claimed), says, numbers, picture)


def norms(plane: Stored, room: Stored) -> Found:
    """Induced mixed norms: whether flows fit better if the layers are measured in other norms than 2. In the plane, and
    on data that were made so that another norm has more room."""
    values: dict[str, dict[str, Sequence[float]]] = {
        told.title(data): {chain: [one["kl"] for one in of] for chain, of in chains.items()}
        for data, chains in plane.found.items()
    }
    in_plane = [*values]
    values |= {data: ways["without"] for data, ways in room.found.items()}

    def sets(values: Values) -> dict[str, OneSet]:
        return {
            name: of_some({chain: of_kl(kls, of["2"]) for chain, kls in of.items() if chain != "2"})
            for name, of in values.items()
        }

    claimed = Claimed(
        "some other norm, which may differ from set to set, has a smaller KL than the usual one",
        "the usual norm has a smaller KL than every other",
    )
    result = ruled(values, sets, claimed)
    numbers = {
        "seeds": str(len(plane.seeds)),
        "steps": f"{plane.settings['steps']:,}",
        "dim": str(room.settings["dim"]),
        "room_steps": str(room.settings["steps"]),
        "gain": f"{math.sqrt(room.settings['dim'] - 1):.1f}",
    }
    parts: dict[str, str] = {}
    for (data, of), place in zip(values.items(), PLACES, strict=False):
        parts[data], own = _beside_2(data, of, place)
        numbers |= own
    rescaled: list[str] = []
    for data, place in zip((data for data, ways in room.found.items() if "with" in ways), "wxyz", strict=False):
        says, own = told.placed("{two_kl}", {"two_kl": told.nats(band(room.found[data]["with"]["2"]))}, place)
        rescaled.append(says)
        numbers |= own
    says = (
        "beside the usual norm stands the best other one. In the plane, after {steps} steps ({seeds} seeds): "
        f"{'; '.join(parts[data] for data in in_plane)}. Two more sets, in {{dim}} dimensions, were made so that "
        "another norm has more room. Where one coordinate moves all others, a block may be {gain} times as steep if it "
        "is bounded in the norm of order ∞ instead of the usual one; where all others move one, in that of order one. "
        "After {room_steps} steps of a single block: "
        f"{'; '.join(parts[data] for data in values if data not in in_plane)}."
    )
    if rescaled:
        says += (
            " ActNorms rescale the coordinates and take that advantage away: with them the usual norm comes to "
            f"{listed(rescaled)}."
        )
    shown = next((data for data in result.ahead), in_plane[0])
    rows = {_chain(chain): kls for chain, kls in values[shown].items()}
    about = shown if shown in in_plane else f"{shown}, without ActNorms"
    return found(result, says, numbers, Picture(rows, f"KL(data ‖ flow), {about}", "nats", log=True))


def _beside_2(data: str, of: Mapping[str, Sequence[float]], place: str) -> tuple[str, dict[str, str]]:
    """A sentence about the 2-norm and the best other on one set, and its numbers."""
    best = min((chain for chain in of if chain != "2"), key=lambda chain: band(of[chain]).mean)
    contest = of_kl(of[best], of["2"])
    values = {
        "data": data,
        "two": _chain("2"),
        "two_kl": told.nats(band(of["2"])),
        "best": _chain(best),
        "best_kl": told.nats(band(of[best])),
    }
    says = f"{{data}}: KL {{two_kl}} nats in {{two}}, {{best_kl}} in {{best}}, {by(contest, 'nats')}"
    return told.placed(says, values | interval_of(contest), place)


def _chain(name: str) -> str:
    chain = NORM_CHAINS[name]
    return f"learned orders, from {order_name(chain.outer)}" if chain.learned else f"norm {chain.title}"


def density(*stored: Stored) -> Found:
    """Density estimation ahead of other flows, at equal steps and nearly equal parameters: of all opponents on every
    set, by the ratio of the KLs."""
    values: Values = {
        told.title(one.settings["data"]): {label: told.last(arms, "held_kl") for label, arms in one.found.items()}
        for one in stored
    }
    ours = _ours(values)

    claimed = Claimed(
        "the residual flow has a smaller KL than every other flow",
        "another flow has a smaller KL than it",
    )
    numbers = {"seeds": str(min(len(one.seeds) for one in stored))}
    parts: list[str] = []
    for place, one, (data, contests) in zip(PLACES, stored, against(values, ours).items(), strict=False):
        part, own = _beside_nearest(data, values[data], contests, ours, place)
        parts.append(f"after {{steps_{place}}} steps on the {{data_{place}}} data the residual flow has {part}")
        numbers |= own | {f"steps_{place}": f"{one.settings['steps']:,}"}
    says = f"{'; '.join(parts)} ({{seeds}} seeds). The opponents are {{peers}}; the nearest one stands here."
    data = told.title(stored[-1].settings["data"])
    picture = Picture(values[data], f"KL(data ‖ flow), {data}", "nats", log=True)
    numbers |= {"peers": listed([label for label in values[data] if label != ours])}
    return found(ruled(values, lambda values: every_set(values, ours), claimed), says, numbers, picture)


def _beside_nearest(
    data: str, of: Mapping[str, Sequence[float]], contests: Mapping[str, Contest], ours: str, place: str
) -> tuple[str, dict[str, str]]:
    """The KLs of a flow and of its nearest opponent on one set, in words and with their numbers."""
    peer = nearest(contests)
    values = {
        "data": data,
        "ours": str(band(of[ours])),
        "nearest": peer,
        "theirs": str(band(of[peer])),
    }
    says = f"KL {{ours}} nats, {{nearest}} {{theirs}}, {by(contests[peer], 'nats')}"
    return told.placed(says, values | interval_of(contests[peer]), place)


def joint(stored: Stored) -> Found:
    """Joint modelling ahead of coupling blocks: what the density costs each classifier in points of accuracy, in the
    plane and beyond it, beside the same coupling flows everywhere."""
    cases = stored.settings["cases"]
    values: Values = {name: _lost(stored.found[name]) for name in cases}
    ours = _ours(values)

    claimed = Claimed(
        "the residual flow loses less accuracy than every coupling flow",
        "a coupling flow loses less than the residual one",
        has_equal=False,
    )
    result = ruled(values, lambda values: every_set(values, ours, of_loss), claimed)
    numbers = {"weight": f"{max(map(float, stored.settings['weights'])):g}"}
    parts: list[str] = []
    for place, (name, contests) in zip(PLACES, against(values, ours, of_loss).items(), strict=False):
        case, peer = cases[name], nearest(contests)
        labels = "" if case["told"] is None else ", {told} labels"
        part, own = told.placed(
            f"{case['title'].capitalize()} (d = {{dim}}{labels}, {{seeds}} seeds): {{ours}}, {{nearest}} {{theirs}}, "
            f"{by(contests[peer], 'points')}.",
            {
                "dim": str(case["dim"]),
                "seeds": str(case["seeds"]),
                "ours": told.points(band(values[name][ours])),
                "nearest": peer,
                "theirs": told.points(band(values[name][peer])),
            }
            | interval_of(contests[peer])
            | ({"told": str(case["told"])} if labels else {}),
            place,
        )
        parts.append(part)
        numbers |= own
    says = (
        "a flow that learns the density too (λ = {weight}) loses accuracy, here in points; below zero it gains. The "
        "opponents are {peers}, all of nearly the residual flow's size; the nearest one stands beside it. "
        f"{' '.join(parts)}"
    )
    where = next(iter(result.ahead), next(iter(cases)))
    about = f"{cases[where]['title']}, d = {cases[where]['dim']}"
    numbers |= {"peers": listed([label for label in values[where] if label != ours])}
    picture = Picture(
        values[where], f"accuracy lost at λ = {numbers['weight']}, {about}", "points", mark=("none lost", 0.0)
    )
    return found(result, says, numbers, picture)


def _ours(values: Values) -> str:
    """The name of the residual flow. Raises ValueError unless every set has the same flows."""
    first, *others = values.values()
    if any(set(first) != set(other) for other in others):
        raise ValueError(f"The sets {', '.join(values)} have other flows: run the same ones on each.")
    (ours,) = (label for label in first if label.startswith(RESIDUAL))
    return ours


def _lost(case: Mapping[str, Any]) -> dict[str, list[float]]:
    """Accuracy at the smallest weight of the density less that at the largest, of each family, seed by seed, in
    points."""
    lost = {}
    for family, of in case.items():
        without, with_it = (of["by_weight"][end(of["by_weight"], key=float)] for end in (min, max))
        lost[family] = [a["accuracy"] - b["accuracy"] for a, b in zip(without, with_it, strict=True)]
    return lost
