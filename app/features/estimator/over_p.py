"""Pictures against p: where the variance is finite, what it costs, and what the probe has to do with it."""

from collections.abc import Callable

import numpy as np
import streamlit as st

from app import session
from app.estimates.settings import Bench
from app.features.estimator import across_figures as figures
from app.features.estimator import verdicts
from app.features.estimator.numbers import Noise, Reason, Tail
from app.features.estimator.presets import OF_POISSON
from app.features.estimator.sweeps import (
    LAMBDAS,
    MC_THROWS,
    Cost,
    P,
    Subject,
    across_first_term,
    across_lambda,
    across_p,
    across_probes,
    exact_terms,
    monte_carlo,
)
from app.features.estimator.verdicts import FirstTerm, InfinitePoints, Probes, Products, tail
from app.features.estimator.words import finiteness
from app.text import unbroken
from app.ui import heading, settled
from app.words import number
from resflow_core.estimators.moments import spectral_radius
from resflow_core.roulette import Geometric, Poisson

FIRST_TERM = {False: "all terms estimated", True: "first trace exact"}
NOT_THE_PROBES = "The roulette causes this, so no probe helps"


def infinite_share(bench: Bench, subject: Subject) -> None:
    heading.section("Where is the variance infinite on my flow?")
    largest = spectral_radius(subject.jacobians).amax(0).numpy()
    shares = np.array([(largest**2 > 1 - p).mean() for p in P])
    said = _infinite(session.note(verdicts.infinite_points(largest, bench.law.tail_ratio)))
    chart = figures.share(P, shares, _p(bench), f"Share of points with infinite variance against p. {said}")
    settled.show(chart, "Share of points with infinite variance", key="across.infinite")
    st.markdown(said)


def _infinite(found: InfinitePoints) -> str:
    return (
        f"With the law that is set, **{100 * found.share:.3g} %** of the data points have an infinite variance in some "
        f"block. Up to {unbroken(f'p = {found.safe:.2g}')} it would be finite at 99 % of the points. If it is infinite "
        "at a single point, so is the variance of the mean over all points."
    )


def variance(bench: Bench, subject: Subject) -> None:
    heading.section(f"Which {'λ' if isinstance(bench.law, Poisson) else 'p'} are safe?")
    found = session.note(verdicts.noise(bench, subject))
    here, limit = found.cost, found.tail.infinite_from
    now, where = _now(found), _where(found.tail, bench.subject == "flow", not session.is_still_asked(OF_POISSON))
    n, poisson = exact_terms(bench), isinstance(bench.law, Poisson)
    costs = (across_lambda if poisson else across_p)(subject, bench)
    dots, said = ([], "") if poisson else _dots(bench, found.tail)
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
        description=f"Variance against {'λ' if poisson else 'p'}: the roulette's part for several numbers "
        f"of exact terms. {now} {where}",
        **({"axis": ("λ, the mean number of further terms", float(LAMBDAS[-1]))} if poisson else {}),
    )
    settled.show(chart, "Variance and its parts", key="across.parts")
    st.markdown(f"{now} {where}")
    laws = "Poisson" if poisson else "geometric"
    thick = "the variance with these settings" if here_at is None else f"the sum of both parts for {n} exact terms"
    upright = "" if here_at is None else f"Vertical dashes: the {'λ' if poisson else 'p'} that is set. "
    st.caption(f"Lines: the roulette's part with {laws} laws. Thick: {thick}. {upright}{said}")


def _now(found: Noise) -> str:
    here = found.cost
    if not np.isfinite(here.total):
        return f"With these settings the variance is **{number(here.total)}**: {finiteness(found.tail)}."
    return (
        f"With these settings the variance is **{'at least ' if here.is_least else ''}{number(here.total)} nats²**: "
        f"{number(here.probe)} from the probe and {number(here.roulette)} from the roulette."
    )


def _where(tail: Tail, of_flow: bool, of_poisson: bool) -> str:
    if tail.radius == 0:
        return f"A is nilpotent: every law is safe{', also a Poisson law' * of_poisson}."
    limit, whose = tail.infinite_from, ", the largest of all points" if of_flow else ""
    none = f"; the smallest p here is {P[0]:g}" if limit <= P[0] else ""
    return (
        f"A geometric law is safe up to p = 1 − ρ² = **{limit:.3f}** (ρ = {tail.radius:.3f}{whose}){none}."
        f"{' A Poisson law is never safe.' * of_poisson}"
    )


def _dots(bench: Bench, tail: Tail) -> tuple[list[tuple[float, float, float]], str]:
    """Monte Carlo where its error bars mean something, and a word on where they do not."""
    if bench.subject != "matrix" or bench.quantity != "log_det" or bench.n_probes * bench.n_draws > 1:
        return [], ""
    said = f"Dots: the variance of {MC_THROWS:,} draws each."
    if tail.radius > 0:
        said += (
            f" From p = 1 − ρ^(4/3) = {tail.unsettled_from:.3f} on there are no dots: the fourth moment is infinite, "
            "and the variance of a sample would usually be far too small."
        )
    return monte_carlo(bench, exact_terms(bench)), said


def product(bench: Bench, subject: Subject) -> None:
    heading.section("What does an estimate cost?")
    found = session.note(verdicts.products(bench, subject))
    said = cheapest(found, bench.quantity, " (◆)")
    if found.geometric is None:
        st.info(said)
        return
    law, least = found.geometric
    chart = figures.lines(
        P,
        _values(across_p(subject, bench), lambda c: c.product),
        legend="exact terms",
        title="variance × expected terms (nats²)",
        infinite_from=found.tail.infinite_from,
        here=_p(bench),
        level=("best law", found.best.product) if found.best else None,
        best=(law.p, least.product) if found.best else None,
        description=f"Variance times expected terms against p. {said}",
    )
    settled.show(chart, "Variance times expected terms", key="across.product")
    st.markdown(said)


def cheapest(found: Products, quantity: str, mark: str = "") -> str:
    best, paper = found.best, found.paper.product
    if best is None and found.tail.reason is Reason.NILPOTENT:
        return "A is nilpotent, so the series ends by itself: **cut it there; no roulette is needed**."
    if best is None:
        exact = "the exact log det" if quantity == "log_det" else "the exact gradient"
        return f"The probes make no noise here: the more terms the better, and **{exact} is best**."
    steps = ", ".join(number(chance) for chance in found.survival)
    which = "all laws" if quantity != "neumann" else "all laws with N ≥ 1"
    said = (
        f"The best of {which}, {unbroken('P(N ≥ k)')} = {steps}, …, costs **{number(best.product)}** with "
        f"{best.terms:.3g} expected terms. "
    )
    said += (
        f"The paper's law costs {number(paper)}, {paper / best.product:.2g} times as much."
        if np.isfinite(paper)
        else f"The variance of the paper's law is {number(paper)}."
    )
    if found.geometric:
        law, least = found.geometric
        exact = f"{law.n_exact} exact term{'s' * (law.n_exact != 1)}"
        said += (
            f" The best geometric law{mark} has {exact} and {unbroken(f'p = {law.p:.3g}')}, and costs "
            f"{number(least.product)}."
        )
    return said


def probes(bench: Bench, subject: Subject) -> None:
    heading.section("What does the probe save?")
    found = session.note(verdicts.probes(bench, subject))
    said = _saved(found)
    if not found.can_be_finite:
        st.info(said)
        return
    n = exact_terms(bench)
    costs = {name.capitalize(): of_p for name, of_p in across_probes(subject, bench, n).items()}
    chart = figures.lines(
        P,
        _values(costs, lambda c: c.total),
        legend="probe",
        title="variance (nats²)",
        infinite_from=found.tail.infinite_from,
        here=_p(bench),
        description=f"Variance against p, a line for each probe, {n} exact terms. {said}",
    )
    settled.show(chart, "Variance with each probe", key="across.probes")
    st.markdown(said)


def _saved(found: Probes) -> str:
    if not found.can_be_finite:
        nothing = f"Nothing: the variance is infinite with every p that can be set. {NOT_THE_PROBES}."
        paid = ", ".join(f"{name.capitalize()} **{number(value)}**" for name, value in found.products.items())
        return f"{nothing} {f'With the best law for each, variance × terms: {paid}.' if paid else ''}"
    if found.gaussian == 0:
        return "No probe makes any noise here."
    if np.isnan(found.gaussian):
        return f"The saving is not known: {finiteness(found.tail)}."
    if np.isinf(found.gaussian):
        return f"Nothing with the law that is set: its variance is infinite. {NOT_THE_PROBES}."
    leaves = (f"{name.capitalize()} leaves **{number(100 * share)} %**" for name, share in found.shares.items())
    return f"Of the variance with Gaussian probes, {', '.join(leaves)}."


def first_term(bench: Bench, subject: Subject) -> None:
    heading.section("How much noise is in the first term?")
    said = _of_first(session.note(verdicts.first_term(bench, subject)))
    n = exact_terms(bench)
    costs = across_first_term(subject, bench, n)
    chart = figures.lines(
        P,
        _values({FIRST_TERM[exact]: of_p for exact, of_p in costs.items()}, lambda c: c.total),
        legend="estimate",
        title="variance (nats²)",
        infinite_from=tail(bench, subject).infinite_from,
        here=_p(bench),
        description=f"Variance against p with the first term estimated and exact, {n} exact terms of the law. {said}",
    )
    settled.show(chart, "Variance with the first trace exact", key="across.first_term")
    st.markdown(said)


def _of_first(found: FirstTerm) -> str:
    if not np.isfinite(found.estimated):
        return (
            f"Nothing is gained with the law that is set: the variance is {number(found.estimated)} either way. The "
            f"far terms decide that ({finiteness(found.tail)})."
        )
    if found.exact == 0:
        return "All of it: with the first trace exact, nothing is left."
    if np.isnan(found.factor) or found.estimated == 0:
        return "There is no noise here at all."
    if found.estimated <= found.exact:
        return (
            f"None: with the first trace exact the variance is {number(found.exact)} nats² in the place of "
            f"{number(found.estimated)}. Here the noise of the first two terms cancels in part."
        )
    return (
        f"With tr A in the place of v'Av the variance falls from {number(found.estimated)} to "
        f"**{number(found.exact)} nats²**: it is divided by **{number(found.factor)}**, and the mean stays the same. "
        "The trace is the sum of the diagonal, and needs no probe."
    )


def _p(bench: Bench) -> float | None:
    return bench.law.p if isinstance(bench.law, Geometric) else None


def _values(costs: dict, value: Callable[[Cost], float]) -> dict[str, np.ndarray]:
    return {str(name): np.array([value(c) for c in of_p]) for name, of_p in costs.items()}
