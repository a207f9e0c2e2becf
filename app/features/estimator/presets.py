"""Estimators that have a name, and what each does for the matrix or the flow at hand."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from app import session
from app.estimates.settings import BENCH, Bench
from app.features.estimator.sweeps import Cost, Subject, cost, optimum
from app.features.estimator.words import finiteness
from app.ui.fragments import button
from app.words import number
from resflow_core.estimators.moments import as_custom
from resflow_core.roulette import Geometric, Law, Poisson


@dataclass(frozen=True)
class Preset:
    """`change` gives the bench with these settings, or None where there is no such estimator for the subject; `sets`
    are the names of the settings that it changes."""

    title: str
    change: Callable[[Bench, Subject], Bench | None]
    sets: Collection[str]
    truncated: bool = False

    @property
    def offered(self) -> bool:
        """Whether all that it changes can be changed."""
        return session.offered(*(f"{BENCH}{name}" for name in self.sets))


def _fixed(title: str, truncated: bool = False, **settings: Any) -> Preset:
    return Preset(title, lambda bench, _: replace(bench, **settings), tuple(settings), truncated)


def _roulette(title: str, law: Law, probe: str) -> Preset:
    return _fixed(title, law=law, probe=probe, n_probes=1, n_draws=1)


def _truncated(title: str, n_terms: int) -> Preset:
    return _fixed(title, truncated=True, n_terms=n_terms, probe="gaussian", n_probes=1)


def _optimal(bench: Bench, subject: Subject) -> Bench | None:
    best = optimum(subject, bench)
    law = best and as_custom(best)
    return law and replace(bench, law=law, n_draws=1)


PRESETS: dict[str, Preset] = {
    "paper": _roulette("The paper: 2 + Geometric(0.5), Gaussian", Geometric(0.5, 3), "gaussian"),
    "image": _roulette("Released image code: 2 + Poisson(2)", Poisson(2.0, 2), "gaussian"),
    "rademacher": _roulette("The paper's law, Rademacher", Geometric(0.5, 3), "rademacher"),
    "optimal": Preset("The best law for this probe", _optimal, ("law", "n_draws")),
    "i-resnet-5": _truncated("i-ResNet, 5 terms", 5),
    "i-resnet-10": _truncated("i-ResNet, 10 terms", 10),
}


def offered() -> bool:
    """Whether there is any to choose."""
    return any(preset.offered for preset in PRESETS.values())


def choose(bench: Bench, subject: Subject) -> None:
    """A button for each that is offered, with what it does here."""
    for name, preset in PRESETS.items():
        if not preset.offered:
            continue
        changed = preset.change(bench, subject)
        button(
            preset.title,
            on_click=session.show_bench,
            args=(changed or bench,),
            key=f"bench_preset.{name}",
            icon=":material/check:" if changed == bench else None,
            disabled=changed in (bench, None),
            width="stretch",
        )
        st.caption(does(preset, changed, subject))


def does(preset: Preset, bench: Bench | None, subject: Subject) -> str:
    """One sentence with the numbers of the subject."""
    if bench is None:
        return (
            "It cannot be typed here: the probes make no noise, A is nilpotent, or the law would have to fall more "
            "slowly than a table may."
        )
    if preset.truncated:
        deviation = subject.truncated_variance(bench.n_terms, bench.probe, bench.n_probes) ** 0.5
        return f"Off by {number(subject.bias(bench.n_terms))} on average, deviation {number(deviation)}."
    paid = _paid(bench, subject)
    terms = f"{paid.terms:.3g} terms expected"
    if paid.total == float("inf"):
        return f"Unbiased, but its variance is infinite: {finiteness(subject.radius, bench.law.tail_ratio)}; {terms}."
    return f"Unbiased, deviation {number(paid.total**0.5)}, {terms}; variance × terms {number(paid.product)}."


def table(bench: Bench, subject: Subject) -> str:
    """What each of them does here, in Markdown."""
    lines = ["| | bias | deviation | terms | variance × terms |", "| :-- | --: | --: | --: | --: |"]
    for preset in PRESETS.values():
        changed = preset.change(bench, subject)
        best = optimum(subject, bench) if changed is None else None
        if changed and preset.truncated:
            n = changed.n_terms
            variance = subject.truncated_variance(n, changed.probe, changed.n_probes)
            cells = [number(subject.bias(n)), number(variance**0.5), str(n), number(variance * n)]
        elif changed or best:
            paid = cost(subject, best, bench.probe, bench.n_probes) if best else _paid(changed, subject)
            cells = ["0", number(paid.total**0.5), f"{paid.terms:.3g}", number(paid.product)]
        else:
            cells = ["", "none here", "", ""]
        lines.append(f"| {' | '.join([preset.title, *cells])} |")
    return "\n".join(lines)


def _paid(bench: Bench, subject: Subject) -> Cost:
    return cost(subject, bench.law, bench.probe, bench.n_probes, bench.n_draws)
