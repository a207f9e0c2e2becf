"""From contests between flows to a verdict: the rules of all cards that compare. Pure.

Which flows stand against each other is named before they run, and is the same on every set.

- *Ahead on a set*: ahead of every opponent, each at 5 %. That all of them hold needs no correction (Berger 1982). Or,
  if the claim is that some of several flows is ahead of one: some is, by Bonferroni's correction.
- *Shows*: ahead on all sets.
- *Shows in part*: ahead on some set, by Holm's correction over the sets.
- *Does not show*: some opponent is ahead on some set, by Holm's correction over all of them.
- *Equal within 25 %*: in every contest on all sets.
- *Not decided*: else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from app.contests import LEAST_SEEDS, LEVEL, Contest, holm, of_kl, with_others
from app.features.paper.found import Kind

Name = TypeVar("Name")
Values = Mapping[str, Mapping[str, Sequence[float]]]
"""By the names of the sets and of the flows: what was measured of every seed."""
Contests = Mapping[str, Contest]
"""Of one set, by the names of the opponents."""
Measure = Callable[[Sequence[float], Sequence[float]], Contest]
DRAWS = 400


@dataclass(frozen=True)
class OneSet:
    """What one set says: the p value of being ahead on it, and those of the opposite by what is ahead then. `p_ahead`
    is the smallest of so many `comparisons`, by which it is still to be multiplied."""

    p_ahead: float
    p_behind: Mapping[str, float]
    contests: Contests
    comparisons: int = 1

    @property
    def p_equal(self) -> float:
        """Of all being equal within 25 %."""
        return max(one.p_equal for one in self.contests.values())


def of_every(contests: Contests) -> OneSet:
    """Of one flow that is to be ahead of every opponent."""
    return OneSet(
        max(one.p_ahead for one in contests.values()),
        {name: one.p_behind for name, one in contests.items()},
        contests,
    )


def of_some(contests: Contests) -> OneSet:
    """Of several flows, of which some is to be ahead of one opponent; the opposite is that this one is ahead of all."""
    return OneSet(
        min(one.p_ahead for one in contests.values()),
        {"": max(one.p_behind for one in contests.values())},
        contests,
        len(contests),
    )


@dataclass(frozen=True)
class Decided:
    """A verdict; the sets on which the flow is ahead, and the opponents that are, by set; and of each verdict the p
    value that leads to it, with the number of comparisons by which it is multiplied."""

    kind: Kind
    ahead: tuple[str, ...]
    behind: tuple[tuple[str, str], ...]
    p: Mapping[Kind, tuple[float, int]]


def decided(sets: Mapping[str, OneSet]) -> Decided:
    """By the rules above."""
    p = _p_values(sets) | {Kind.EQUAL: (max(one.p_equal for one in sets.values()), 1)}
    ahead, behind = _p_ahead(sets), _p_behind(sets)
    kind = _first(p)
    return Decided(kind, tuple(sets) if kind is Kind.SHOWS else _held(ahead), _held(behind), p)


def kind_of(sets: Mapping[str, OneSet]) -> Kind:
    """As `decided`, but for what is equal, which takes as long as all else."""
    return _first(_p_values(sets))


def _first(p: Mapping[Kind, tuple[float, int]]) -> Kind:
    return next((kind for kind, (least, times) in p.items() if least * times <= LEVEL), Kind.NOT_DECIDED)


def _p_values(sets: Mapping[str, OneSet]) -> dict[Kind, tuple[float, int]]:
    best, worst = (of(sets.values(), key=lambda one: one.comparisons * one.p_ahead) for of in (min, max))
    behind = _p_behind(sets).values()
    return {
        Kind.SHOWS: (worst.p_ahead, worst.comparisons),
        Kind.IN_PART: (best.p_ahead, best.comparisons * len(sets)),
        Kind.NOT_HERE: (min(behind), len(behind)),
    }


def _p_ahead(sets: Mapping[str, OneSet]) -> dict[str, float]:
    return {name: one.comparisons * one.p_ahead for name, one in sets.items()}


def _p_behind(sets: Mapping[str, OneSet]) -> dict[tuple[str, str], float]:
    return {(name, peer): p for name, one in sets.items() for peer, p in one.p_behind.items()}


def against(values: Values, ours: str, measure: Measure = of_kl) -> dict[str, dict[str, Contest]]:
    """The contests of `ours` with every other flow, by set."""
    return {name: with_others(flows, ours, measure) for name, flows in values.items()}


def every_set(values: Values, ours: str, measure: Measure = of_kl) -> dict[str, OneSet]:
    """What each set says of `ours`, which is to be ahead of every other flow."""
    return {name: of_every(contests) for name, contests in against(values, ours, measure).items()}


def chances(
    values: Values, judge: Callable[[Values], Kind], *, together: bool = False, draws: int = DRAWS
) -> dict[Kind, float]:
    """How often chance alone would give each verdict of `judge`: the share of `draws` in which the flows of each seed
    have changed their names at random, which changes nothing where all flows are equal. `together`: what the sets hold
    was measured of the same flows, so names change in all sets alike. Too few seeds decide nothing, whatever chance
    does."""
    if min(len(of) for flows in values.values() for of in flows.values()) < LEAST_SEEDS:
        return dict.fromkeys(Kind, 0.0) | {Kind.NOT_DECIDED: 1.0}
    generator = np.random.default_rng(0)
    kinds: list[Kind] = []
    for _ in range(draws):
        renamed = {}
        order = None
        for name, flows in values.items():
            rows = np.array(list(flows.values()), float)
            if order is None or not together:
                order = generator.permuted(np.tile(np.arange(len(rows))[:, None], rows.shape[1]), axis=0)
            renamed[name] = dict(zip(flows, np.take_along_axis(rows, order, 0).tolist(), strict=True))
        kinds.append(judge(renamed))
    return {kind: kinds.count(kind) / draws for kind in Kind}


def _held(p: Mapping[Name, float]) -> tuple[Name, ...]:
    """The hypotheses that hold after Holm's correction."""
    return tuple(name for name, is_held in zip(p, holm(list(p.values())), strict=True) if is_held)
