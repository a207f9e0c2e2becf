"""What the screen opens with where nothing was chosen: draws that spread, beside a series whose bias one sees."""

from dataclasses import dataclass, replace

import streamlit as st

from app import session
from app.estimates.sample import thrown_settings
from app.estimates.settings import Bench
from app.ui import heading, opening
from resflow_core.roulette import Geometric

EXAMPLE = Bench(
    matrix=(5 / 12, 1 / 12, 1 / 12, 5 / 12), law=Geometric(0.5, 1), probe="rademacher", n_terms=2, fractions=True
)
"""Toss a coin until it shows tails. The eigenvalues of A are 1/2 and 1/3, so det(I + A) = 2. Each v is an
eigenvector, so every term is found in the head: equal signs give 1, -1/2, 1/3, ... after weighting. Two thirds of the
variance come from stopping. The bias of the series cut after two terms is seen after some hundred draws. All estimates
lie in [4/9, 1], so every moment is finite."""


@dataclass(frozen=True)
class Question:
    """What one may ask next of the example: these settings, and `why`."""

    title: str
    why: str
    bench: Bench


QUESTIONS: dict[str, Question] = {
    "example": Question("The example", "Toss a coin until tails; v has random signs.", EXAMPLE),
    "gaussian": Question(
        "A Gaussian probe",
        "Most of the variance is then the probe's, not that of stopping.",
        replace(EXAMPLE, probe="gaussian"),
    ),
    "others": Question(
        "Signs that are no eigenvectors",
        "The same eigenvalues, so the same log det. But v changes its direction with every A.",
        replace(EXAMPLE, matrix=(1 / 2, 1 / 4, 0.0, 1 / 3)),
    ),
    "exact": Question(
        "First trace exact",
        "The first column is the trace: only later terms have noise.",
        replace(EXAMPLE, first_exact=True),
    ),
}


def further(bench: Bench) -> None:
    """The questions as buttons; the one that is looked at is marked."""
    if not opening.is_due() or session.focused():
        return
    heading.section("Ask further")
    for name, question in QUESTIONS.items():
        asked = replace(question.bench, view=bench.view, seed=bench.seed)
        chosen = thrown_settings(bench) == thrown_settings(asked) and bench.n_terms == asked.n_terms
        st.button(
            question.title,
            on_click=session.show_bench,
            args=(asked,),
            key=f"hand.ask.{name}",
            icon=":material/check:" if chosen else None,
            disabled=chosen,
            help=question.why,
            width="stretch",
        )


def arrive() -> None:
    """Show the example to those who come without settings of their own. Who comes out of a lesson keeps what was looked
    at there."""
    if opening.is_due() and not session.focused() and not session.is_chosen(Bench):
        session.show_bench(replace(EXAMPLE, view=session.bench(Bench).view))
        session.settle()


def is_shown(bench: Bench) -> bool:
    """Whether the stored draws are those of this bench."""
    return opening.is_due() and thrown_settings(bench) == thrown_settings(EXAMPLE) and bench.n_terms == EXAMPLE.n_terms
