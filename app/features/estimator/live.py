"""The stored draws, live."""

from dataclasses import replace

from app import session
from app.features.estimator.drawing import FIRST
from app.features.estimator.evidence import BY_HAND
from app.features.estimator.example import EXAMPLE
from app.ui import live_runs


def by_hand() -> None:
    """Draws of the example, of which the stored ones are of other seeds."""
    session.show_bench(replace(EXAMPLE, view="by_hand"))
    session.sample().want(FIRST)


RUNS: live_runs.Starts = {BY_HAND: by_hand}
