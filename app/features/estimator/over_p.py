"""Pictures against p: where the variance is finite, what it costs, and what the probe has to do with it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import streamlit as st

from app.estimates.settings import Bench
from app.features.estimator import across_figures as figures
from app.features.estimator.sweeps import (
    LAMBDAS,
    MC_THROWS,
    PAPER,
    Cost,
    P,
    Subject,
    across_lambda,
    across_p,
    across_probes,
    cost,
    exact_terms,
    monte_carlo,
    optimum,
)
from app.features.estimator.words import finiteness
from app.text import unbroken
from app.words import number
from resflow_core.estimators.moments import spectral_radius
from resflow_core.probes import PROBES
from resflow_core.roulette import Geometric, Poisson, expected_terms

NOT_THE_PROBES = "that is the roulette's, which no probe helps against"


def infinite_share(bench: Bench, subject: Subject) -> None:
    st.markdown("##### Where is it infinite on my flow?")
    largest = spectral_radius(subject.jacobians).amax(0).numpy()
    shares = np.array([(largest**2 > 1 - p).mean() for p in P])
    here = float((largest**2 > bench.law.tail_ratio).mean())
    safe = 1 - np.quantile(largest, 0.99) ** 2
    said = (
        f"With the law that is set, **{100 * here:.3g} %** of the data points have an infinite variance in some block. "
        f"For all but 1 % of them it would be finite up to {unbroken(f'p = {safe:.2g}')}. The mean over points is "
        "infinite as soon as one of them is."
    )
    st.altair_chart(figures.share(P, shares, _p(bench), f"Share of points with infinite variance against p. {said}"))
    st.markdown(said)


def variance(bench: Bench, subject: Subject) -> None:
    st.markdown(f"##### Which {'λ' if isinstance(bench.law, Poisson) else 'p'} are safe?")
    here = cost(subject, bench.law, bench.probe, bench.n_probes, bench.n_draws)
    if np.isfinite(here.total):
        now = (
            f"As it is set, the variance is **{'at least ' if here.rest > 0.01 * here.total else ''}"
            f"{number(here.total)} nats²**: {number(here.probe)} by the probe, {number(here.roulette)} by the "
            "roulette."
        )
    else:
        why = finiteness(subject.radius, bench.law.tail_ratio)
        now = f"As it is set, the variance is **{number(here.total)}**: {why}."
    limit, whose = _infinite_from(subject), ", the largest there is" if bench.subject == "flow" else ""
    none = f", and p begins at {P[0]:g}" if limit <= P[0] else ""
    where = (
        f"A geometric law is safe up to p = 1 − ρ² = **{limit:.3f}**{none} (ρ = {subject.radius:.3f}{whose}); a "
        "Poisson law never, whatever its λ."
        if subject.radius > 0
        else "A is nilpotent: every law is safe, also a Poisson law."
    )
    n, poisson = exact_terms(bench), isinstance(bench.law, Poisson)
    costs = (across_lambda if poisson else across_p)(subject, bench)
    dots, said = ([], "") if poisson else _dots(bench, subject)
    here_at = bench.law.lam if poisson else _p(bench)
    chart = figures.lines(
        LAMBDAS if poisson else P,
        _values(costs, lambda c: c.roulette),
        legend="exact terms",
        title="variance (nats²)",
        infinite_from=limit if not poisson else 0.0 if subject.radius > 0 else np.inf,
        here=here_at,
        whole=np.full(len(P), here.total) if here_at is None else np.array([c.total for c in costs[n]]),
        level=("probe", here.probe),
        dots=dots,
        description=f"Variance against {'λ' if poisson else 'p'}: the roulette's part for some numbers of exact terms. "
        f"{now} {where}",
        **({"axis": ("λ, the mean number of further terms", float(LAMBDAS[-1]))} if poisson else {}),
    )
    st.altair_chart(chart)
    st.markdown(f"{now} {where}")
    laws = "Poisson" if poisson else "geometric"
    thick = "the variance as it is set" if here_at is None else f"the sum of both parts for {n} exact terms"
    upright = "" if here_at is None else f"Upright dashes: the {'λ' if poisson else 'p'} that is set. "
    st.caption(f"Lines: the roulette's part with {laws} laws. Thick: {thick}. {upright}{said}")


def _dots(bench: Bench, subject: Subject) -> tuple[list[tuple[float, float, float]], str]:
    """Monte Carlo where its error bars mean something, and a word on where they do not."""
    if bench.subject != "matrix" or bench.quantity != "log_det" or bench.n_probes * bench.n_draws > 1:
        return [], ""
    limit, said = 1 - subject.radius ** (4 / 3), f"Dots are {MC_THROWS:,} throws each."
    if subject.radius > 0:
        said += (
            f" From p = 1 − ρ^(4/3) = {limit:.3f} on there are none: the fourth moment is infinite, and a sample "
            "variance would be far too small most of the time."
        )
    return monte_carlo(bench, exact_terms(bench)), said


def product(bench: Bench, subject: Subject) -> None:
    st.markdown("##### What does a variance cost?")
    costs = across_p(subject, bench)
    products = _values(costs, lambda c: c.product)
    best = optimum(subject, bench)
    least = min(
        ((value, float(p), n) for n, of_p in products.items() for p, value in zip(P, of_p, strict=True)
         if np.isfinite(value)), default=None,
    )  # fmt: skip
    paper = cost(subject, PAPER, bench.probe, bench.n_probes, bench.n_draws).product
    if best is None:
        exact = "the exact log det" if bench.quantity == "log_det" else "the exact gradient"
        said = (
            f"The probes make no noise here: the more terms the better, and **{exact} is best**."
            if subject.radius > 0
            else "A is nilpotent, so the series ends by itself: **cut it there, and leave the roulette out**."
        )
        level = None
    else:
        value = cost(subject, best, bench.probe, bench.n_probes).product
        terms = expected_terms(best)
        level = ("best law", value)
        steps = ", ".join(number(chance) for chance in best.table[:4])
        which = "of all" if bench.quantity != "neumann" else "with N ≥ 1"
        reached = unbroken("P(N ≥ k)")
        said = f"The best law {which}, {reached} = {steps}, …, reaches **{number(value)}** with {terms:.3g} terms. "
        said += (
            f"The paper's pays {number(paper)}, {paper / value:.2g} times as much."
            if np.isfinite(paper)
            else f"The paper's variance is {number(paper)}."
        )
        if least:
            exact = f"{least[2]} exact term{'s' * (least[2] != '1')}"
            said += f" The best geometric one (◆): {exact} and {unbroken(f'p = {least[1]:.3g}')}, {number(least[0])}."
    if not least:
        st.info(said)
        return
    chart = figures.lines(
        P,
        products,
        legend="exact terms",
        title="variance × expected terms (nats²)",
        infinite_from=_infinite_from(subject),
        here=_p(bench),
        level=level,
        best=(least[1], least[0]) if least and best else None,
        description=f"Variance times expected terms against p. {said}",
    )
    st.altair_chart(chart)
    st.markdown(said)


def probes(bench: Bench, subject: Subject) -> None:
    st.markdown("##### What does the probe save?")
    n = exact_terms(bench)
    costs = {name.capitalize(): of_p for name, of_p in across_probes(subject, bench, n).items()}
    values = _values(costs, lambda c: c.total)
    at = cost(subject, bench.law, "gaussian", bench.n_probes, bench.n_draws).total
    if not any(np.isfinite(of_p).any() for of_p in values.values()):
        nothing = f"Nothing: with every p that can be set the variance is infinite, and {NOT_THE_PROBES}."
        st.info(f"{nothing} {_at_best(bench, subject)}")
        return
    if at == 0:
        said = "There is no noise here with any probe."
    elif np.isfinite(at):
        others = {name: cost(subject, bench.law, name, bench.n_probes, bench.n_draws).total for name in PROBES}
        leaves = (
            f"{name.capitalize()} leaves **{number(100 * v / at)} %**"
            for name, v in others.items()
            if name != "gaussian"
        )
        said = f"Of the Gaussian's variance, {', '.join(leaves)}."
    elif np.isnan(at):
        said = f"What a probe saves is undecided: {finiteness(subject.radius, bench.law.tail_ratio)}."
    else:
        said = f"Nothing with the law that is set: its variance is infinite, and {NOT_THE_PROBES}."
    chart = figures.lines(
        P,
        values,
        legend="probe",
        title="variance (nats²)",
        infinite_from=_infinite_from(subject),
        here=_p(bench),
        description=f"Variance against p, a line for each probe, {n} exact terms. {said}",
    )
    st.altair_chart(chart)
    st.markdown(said)


def _at_best(bench: Bench, subject: Subject) -> str:
    """What each probe pays with its own best law."""
    paid = []
    for name in PROBES:
        if best := optimum(subject, replace(bench, probe=name)):
            product = cost(subject, best, name, bench.n_probes).product
            paid.append(f"{name.capitalize()} **{number(product)}**")
    return f"With the best law for each, variance × terms: {', '.join(paid)}." if paid else ""


def _p(bench: Bench) -> float | None:
    return bench.law.p if isinstance(bench.law, Geometric) else None


def _values(costs: dict, value: Callable[[Cost], float]) -> dict[str, np.ndarray]:
    return {str(name): np.array([value(c) for c in of_p]) for name, of_p in costs.items()}


def _infinite_from(subject: Subject) -> float:
    return 1 - subject.radius**2
