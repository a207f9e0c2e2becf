"""What the screen opens with where nothing was chosen: draws that spread, beside a series whose bias one sees."""

from dataclasses import replace

from app import session
from app.estimates.sample import thrown_settings
from app.estimates.settings import Bench
from app.ui import opening
from resflow_core.roulette import Geometric

EXAMPLE = Bench(matrix=(0.7, 0.0, 0.0, 0.7), law=Geometric(0.3, 2), n_terms=2)
"""log det(I + A) = 2 log 1.7 is found on paper. Both estimators compute two terms at least. With this law also the
fourth moment is finite, so that standard errors settle."""


def arrive() -> None:
    """Show the example to those who come without settings of their own. Who comes out of a lesson keeps what was looked
    at there."""
    if opening.is_due() and not session.focused() and not session.is_chosen(Bench):
        session.show_bench(replace(EXAMPLE, view=session.bench(Bench).view))
        session.settle()


def is_shown(bench: Bench) -> bool:
    """Whether the stored draws are those of this bench."""
    return opening.is_due() and thrown_settings(bench) == thrown_settings(EXAMPLE) and bench.n_terms == EXAMPLE.n_terms
