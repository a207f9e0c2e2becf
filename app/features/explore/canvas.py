"""The plane to paint on, in the place of the data space; and what stands for a truth that nobody knows."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from app import session
from app.components import live
from app.components.painter import paint
from app.engine.reports import ArmReport
from app.metrics import held_out_nll, with_error
from resflow_core.data import Table

KEY = "painter"


def show(scene: dict[str, Any]) -> None:
    """The plane, beside the rest of the live picture once a flow learns what is painted."""
    with st.container(key="drawing"):
        left, right = st.columns(2, gap="medium")
        with left:
            paint(
                session.canvas(),
                session.drawing().rows,
                _problem(),
                key=KEY,
                on_strokes=lambda: session.take_strokes(KEY),
                on_done=lambda: session.put_down(KEY),
            )
        with right:
            if session.learns_drawing():
                live.live_panes(scene, key="panes")
            else:
                st.markdown(
                    "**Paint something, and a flow learns it.** When you lift the brush, a flow begins to learn your "
                    "points, and its density appears under them. You can go on painting: after each stroke the flow "
                    "begins again with all points.\n\nTwo colours make two classes. *Done* opens the whole picture."
                )


def _problem() -> str:
    """Why what is painted cannot be learned, and what is learned instead; or ""."""
    problem = session.drawing_problem()
    return (
        f"{problem} Until then the flow learns the points that you had before."
        if problem and session.learns_drawing()
        else problem
    )


@dataclass(frozen=True)
class StandIn:
    """What stands for the true density of somebody's own points: the points that the flow never trains on."""

    held_out: int
    points: int
    nll: tuple[float, float] | None  # nats in standardised units, and its standard error


def stand_in(table: Table, arm: ArmReport | None) -> StandIn:
    return StandIn(len(table.held_out()), len(table.values), held_out_nll(arm) if arm else None)


def takeaway(found: StandIn) -> str:
    nll = "not measured yet"
    if found.nll:
        value, error = with_error(*found.nll)
        nll = f"{value} ± {error} nats, in standardised units"
    return (
        f"The true density of a drawing is not known. Instead the flow is tested on {found.held_out:,} of its "
        f"{found.points:,} points, on which it never trains. Their mean negative log-likelihood (held-out NLL, ± its "
        f"standard error) is: {nll}."
    )
