"""Estimator: what an unbiased log-density costs, by hand, across settings and on the plane."""

from dataclasses import replace

import streamlit as st

from app import session
from app.engine.reports import MOVING
from app.estimates.settings import BENCH, VIEWS, Bench
from app.features.estimator import across, by_hand, plane
from app.ui import controls, heading, notices, transport
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS

GRID = 100
SHOW = {"by_hand": by_hand.show, "settings": across.show, "plane": plane.show}

heading.title("What does an unbiased log-density cost?")
with st.container():
    notices.show()


step = session.step_over("estimator")
trains = step is None or step.trained > 0  # most steps of lessons here are about matrices


@polled(POLL_SECONDS)
def run() -> None:
    report = session.poll(frames=False, measured={"jacobians": GRID})
    if trains:
        transport.show(report)
    # Charts are built anew when they change; while the flow moves only the map, which is not, follows it.
    if alone and session.jacobians_are_new() and (session.bench().view == "plane" or report.state not in MOVING):
        st.rerun()


alone = False  # within a run of the whole script, which draws what was just sent
run()
alone = True
view = controls.view(Bench, VIEWS, BENCH)


@st.fragment
def shown(view: str) -> None:
    """A change of the bench draws its view alone anew."""
    session.settle()
    SHOW[view](replace(session.bench(), view=view))


shown(view)
