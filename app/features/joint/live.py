"""The stored comparison of weights, live."""

from dataclasses import replace

from app import session
from app.features.joint import paper
from app.features.joint.evidence import BENCH, COSTS, COSTS_SETUP
from app.ui import live_runs


def costs() -> None:
    """Every weight, of a residual flow and of RealNVP."""
    session.use(COSTS_SETUP.data, COSTS_SETUP.flow, COSTS_SETUP.train)
    session.show_bench(replace(BENCH, view="paper"))
    paper.play_soon()


RUNS: live_runs.Starts = {COSTS: costs}
