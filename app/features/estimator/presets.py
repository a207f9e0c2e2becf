"""Estimators that have a name, and what each does for the matrix or the flow at hand."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from app import session
from app.estimates.settings import BENCH, Bench
from app.features.estimator.sweeps import Cost, Subject, cost, optimum
from app.features.estimator.verdicts import tail
from app.features.estimator.words import finiteness
from app.words import number
from resflow_core.estimators.moments import as_custom
from resflow_core.roulette import Geometric, Law, Poisson


@dataclass(frozen=True)
class Preset:
    """`change` gives the bench with these settings, or None where there is no such estimator for the subject; `sets`
    are the names of the settings that it changes, and `tells` is the observable or setting of lessons that its numbers
    tell."""

    title: str
    change: Callable[[Bench, Subject], Bench | None]
    sets: Collection[str]
    truncated: bool = False
    tells: str = ""

    @property
    def offered(self) -> bool:
        """Whether all that it changes can be changed."""
        return session.offered(*(f"{BENCH}{name}" for name in self.sets))

    @property
    def may_be_told(self) -> bool:
        """Whether its numbers answer nothing that a lesson is yet to ask."""
        return not session.is_still_asked(self.tells)


OF_POISSON = f"{BENCH}law.lam"
"""What a lesson asks for that asks what a Poisson law does."""


def _fixed(title: str, truncated: bool = False, tells: str = "", **settings: Any) -> Preset:
    """Where the first term is estimated, that is also so where nobody can choose it."""
    sets = [name for name, value in settings.items() if value is not False]
    return Preset(title, lambda bench, _: replace(bench, **settings), sets, truncated, tells)


def _roulette(title: str, law: Law, probe: str, tells: str = "", first_exact: bool = False) -> Preset:
    return _fixed(title, tells=tells, law=law, probe=probe, n_probes=1, n_draws=1, first_exact=first_exact)


def _truncated(title: str, n_terms: int) -> Preset:
    return _fixed(title, truncated=True, n_terms=n_terms, probe="gaussian", n_probes=1, first_exact=False)


def _optimal(bench: Bench, subject: Subject) -> Bench | None:
    best = optimum(subject, bench)
    law = best and as_custom(best)
    return law and replace(bench, law=law, n_draws=1)


PRESETS: dict[str, Preset] = {
    "paper": _roulette("The paper: 2 + Geometric(0.5), Gaussian", Geometric(0.5, 3), "gaussian"),
    "image": _roulette("Released image code: 2 + Poisson(2)", Poisson(2.0, 2), "gaussian", OF_POISSON),
    "rademacher": _roulette("The paper's law, Rademacher", Geometric(0.5, 3), "rademacher"),
    "first_exact": _roulette("The paper's, first trace exact", Geometric(0.5, 3), "gaussian", first_exact=True),
    "optimal": Preset("The best law for this probe", _optimal, ("law", "n_draws"), tells="optimal_terms"),
    "i-resnet-5": _truncated("i-ResNet, 5 terms", 5),
    "i-resnet-10": _truncated("i-ResNet, 10 terms", 10),
}


def offered() -> bool:
    """Whether there is any to choose."""
    return any(preset.offered and preset.may_be_told for preset in PRESETS.values())


def choose(bench: Bench, subject: Subject) -> None:
    """A button for each that is offered, with what it does here."""
    for name, preset in PRESETS.items():
        if not preset.offered or not preset.may_be_told:
            continue
        changed = preset.change(bench, subject)
        st.button(
            preset.title,
            on_click=session.show_bench,
            args=(changed or bench,),
            key=f"bench_preset.{name}",
            icon=":material/check:" if changed == bench else None,
            disabled=changed in (bench, None),
            width="stretch",
        )
        st.caption(does(preset, bench, subject))


@dataclass(frozen=True)
class Performance:
    """What an estimator does for a subject: its bias in nats, and its cost."""

    bias: float
    cost: Cost


def performance(preset: Preset, bench: Bench, subject: Subject) -> Performance | None:
    """Of a preset at this bench. None where there is none: no law is the best."""
    changed = preset.change(bench, subject)
    if changed is None:  # the best law may be one that cannot be typed
        best = optimum(subject, bench)
        return Performance(0.0, cost(subject, best, bench.probe, bench.n_probes)) if best else None
    if not preset.truncated:
        of = subject.with_traces(changed.exact_traces)
        return Performance(0.0, cost(of, changed.law, changed.probe, changed.n_probes, changed.n_draws))
    variance = subject.with_traces(changed.exact_traces).truncated_variance(
        changed.n_terms, changed.probe, changed.n_probes
    )
    return Performance(subject.bias(changed.n_terms), Cost(variance, 0.0, changed.n_terms))


def does(preset: Preset, bench: Bench, subject: Subject) -> str:
    """One sentence with the numbers of the subject."""
    changed, found = preset.change(bench, subject), performance(preset, bench, subject)
    if changed is None or found is None:
        return (
            "Not available here: the probes make no noise, A is nilpotent, or the best law falls more slowly than a "
            "typed law may."
        )
    deviation = number(found.cost.total**0.5)
    if preset.truncated:
        return f"Off by {number(found.bias)} on average, standard deviation {deviation}."
    terms = f"{found.cost.terms:.3g} terms expected"
    if found.cost.total == float("inf"):
        return f"Unbiased, but its variance is infinite: {finiteness(tail(changed, subject))}; {terms}."
    return f"Unbiased, standard deviation {deviation}, {terms}; variance × terms {number(found.cost.product)}."


def table(bench: Bench, subject: Subject) -> str:
    """What each of them does here, in Markdown."""
    lines = ["| | bias | standard deviation | expected terms | variance × terms |", "| :-- | --: | --: | --: | --: |"]
    for preset in PRESETS.values():
        if not preset.may_be_told:
            continue
        cells = ["", "none here", "", ""]
        if found := performance(preset, bench, subject):
            bias, terms = number(found.bias), f"{found.cost.terms:.3g}"
            cells = [bias, number(found.cost.total**0.5), terms, number(found.cost.product)]
        lines.append(f"| {' | '.join([preset.title, *cells])} |")
    return "\n".join(lines)
