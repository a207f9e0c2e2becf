"""The roulette with real coins: a sheet to print, and a box for what a class has drawn."""

import html
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from app import session
from app.estimates.coins import COINS, MOST_CHARACTERS, parsed
from app.estimates.settings import BENCH, Bench
from app.features.estimator.numbers import SampleMean
from app.features.estimator.words import mean_and_truth
from app.lessons.lesson import Do
from app.numbers import number_text
from app.takeaway.programs import PROGRAMS
from app.text import signed, unbroken
from app.ui import takeaway
from resflow_core.estimators.draws import values
from resflow_core.roulette import Geometric

COIN = 0.5
MINUS = "\N{MINUS SIGN}"
PROBE = "rademacher"
SHOWN = 8  # values of N in the table on the page
LONGEST = 18  # on the sheet: one of a thousand classes with 300 draws meets a larger one


@dataclass(frozen=True)
class CoinMean(SampleMean):
    """Of what a class has thrown with real coins."""


def asked_for() -> bool:
    """Whether the step of a lesson that is open waits for coins."""
    step = session.step_over("estimator")
    asked = [block.until for block in step.blocks if isinstance(block, Do)] if step else []
    return any(name == "coin_throws" for until in asked for name, _ in until.names)


def lead_on(bench: Bench) -> bool:
    """Whether coins can be tossed with these settings, or with some that can be chosen here."""
    return _coin_law(bench) is not None or session.offered(f"{BENCH}law", f"{BENCH}probe")


def _coin_law(bench: Bench) -> Geometric | None:
    """The law of N, where coins give both N and the signs of the probe."""
    law, fits = bench.law, len(bench.array) == 2 and bench.probe == PROBE
    return law if fits and isinstance(law, Geometric) and law.p == COIN else None


def show(bench: Bench, truth: float) -> None:
    if len(bench.array) > 2:
        st.markdown(
            "Two coins give the two signs of the probe, so the matrix must be 2 x 2. Choose one to get its sheet."
        )
        return
    if not (of_coins := _coin_law(bench)):
        st.markdown(
            f"A coin has two sides, so it needs a geometric law with {unbroken('p = 0.5')} and a Rademacher probe "
            "(random signs)."
        )
        law = Geometric(COIN, bench.law.n_exact if isinstance(bench.law, Geometric) else 3)
        coins = replace(bench, law=law, probe=PROBE)
        if session.offered(f"{BENCH}law", f"{BENCH}probe"):
            st.button("Use these settings", on_click=session.show_bench, args=(coins,), key="coins.use")
        return
    table = _table(bench, SHOWN)
    st.markdown(
        f"1. Toss two coins: the signs of v. Note **+** if they agree and **{MINUS}** if not.\n"
        f"2. Begin with N = {of_coins.n_exact}. Toss a coin: heads adds one to N, and you toss again; tails ends it.\n"
        "3. Note N and the sign, such as `4+`, and read your estimate off this table. "
        f"The sheet goes on to N = {of_coins.n_exact + LONGEST - 1}.\n\n" + _markdown(table)
    )
    st.download_button(
        "Download a sheet to print", sheet(bench, _table(bench, LONGEST)), "roulette.html", "text/html",
        icon=":material/download:", on_click="ignore", key="coins.sheet",
    )  # fmt: skip
    text = _typed()
    try:
        n, signs = parsed(text, of_coins.n_exact)
    except ValueError as error:
        st.error(str(error))
        return
    if len(n) < 2:
        st.caption("Type two draws or more to see their mean and its standard error.")
        return
    thrown = values(bench.array, bench.law, n, np.stack([np.ones(len(n)), signs], 1), bench.exact_traces)
    mean = session.note(CoinMean.of(thrown, truth))
    told = mean_and_truth(mean)
    st.markdown(f"The mean of your {mean.size} draws is **{told}**. The truth is {signed(f'{truth:.6f}')}.")
    counts = Counter(zip(n.tolist(), map(int, signs), strict=True))
    takeaway.menu(takeaway.behind("coins", PROGRAMS["coins"], bench, counts), key="coins.take")


def _typed() -> str:
    """What is typed. The field begins with what is known: it is built anew in each step, and of one whose value is set
    a browser may tell that it was emptied (`session.holding`)."""
    known = session.coins()
    widget = session.holding(COINS, known)
    return st.text_area(
        "What the class has drawn", known, key=widget, on_change=lambda: session.type_coins(session.typed(widget)),
        placeholder="3+ 4- 3+ 6- …", max_chars=MOST_CHARACTERS,
    )  # fmt: skip


def sheet(bench: Bench, table: list[tuple[int, float, float]]) -> str:
    """A page to print: the rules, the values, and lines for what is thrown."""
    a, b, c, d = (html.escape(number_text(entry)) for entry in bench.matrix)
    cells = "".join(f"<tr><td>{n}</td><td>{plus:+.6f}</td><td>{minus:+.6f}</td></tr>" for n, plus, minus in table)
    blank = "<tr>" + "<td></td>" * 6 + "</tr>"
    return f"""<!doctype html><meta charset="utf-8"><title>Russian roulette with coins</title>
<style>
  body {{ font: 12pt/1.4 serif; margin: 2cm; color: #000; background: #fff }}
  table {{ border-collapse: collapse; margin: 1em 0; width: 100% }}
  th, td {{ border: 1px solid #000; padding: .2em .6em; text-align: right; height: 1.4em }}
</style>
<h1>log det(I + A) with coins</h1>
<p>A = [[{a}, {b}], [{c}, {d}]]. Each draw by coins estimates log det(I + A) without bias.</p>
<ol><li>Toss two coins. Note + if they agree and &minus; if they do not.
<li>Begin with N = {bench.law.n_exact}. Toss a coin: heads adds one to N, and you toss again; tails ends it.
<li>Look up your estimate, and note it. At the end take the mean of all n estimates, and their standard error:
the root of &Sigma;(estimate &minus; mean)&sup2; / (n (n &minus; 1)).</ol>
<table><tr><th>N</th><th>estimate for +</th><th>estimate for &minus;</th></tr>{cells}</table>
<table><tr>{"<th>N</th><th>sign</th><th>estimate</th>" * 2}</tr>{blank * 16}</table>
<table class="result"><tr><th>n</th><th>mean</th><th>standard error</th></tr>
<tr><td></td><td></td><td></td></tr></table>
"""


def _table(bench: Bench, lines: int) -> list[tuple[int, float, float]]:
    """The estimate for N and for signs that agree and that do not."""
    n = np.arange(bench.law.n_exact, bench.law.n_exact + lines)
    plus, minus = (
        values(bench.array, bench.law, n, np.tile([1.0, sign], (len(n), 1)), bench.exact_traces) for sign in (1, -1)
    )
    return list(zip(n.tolist(), plus.tolist(), minus.tolist(), strict=True))


def _markdown(table: list[tuple[int, float, float]]) -> str:
    lines = [f"| N | estimate for + | estimate for {MINUS} |", "| --: | --: | --: |"]
    return "\n".join(lines + [signed(f"| {n} | {plus:.6f} | {minus:.6f} |") for n, plus, minus in table])
