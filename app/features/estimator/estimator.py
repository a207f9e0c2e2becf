"""Estimator: what an unbiased log-density costs, by hand, across settings and on the plane."""

from dataclasses import replace

import streamlit as st

from app import session
from app.engine.reports import MOVING, Report
from app.estimates.settings import BENCH, VIEWS, Bench
from app.features.estimator import across, by_hand, plane
from app.ui import controls, heading, notices, opening, share, transport
from app.ui.fragments import polled, rests
from app.ui.scene import POLL_SECONDS

GRID = 100
SHOW = {"by_hand": by_hand.show, "settings": across.show, "plane": plane.show}

with st.container(horizontal=True, vertical_alignment="center", gap="small", key="bench_head"):
    heading.title("What does an unbiased log-density cost?", width="content")
    view = controls.view(Bench, VIEWS, BENCH)
    uses_flow = replace(session.bench(Bench), view=view).uses_flow
    if opening.is_due() and not uses_flow:
        share.of_settings("bench")
with st.container():
    notices.show()

step = session.step_over("estimator")


def _trains(report: Report) -> bool:
    """Whether the buttons that train stand here: most steps of lessons, and two of the views, are about matrices."""
    if step is not None:
        return step.trained > 0
    return uses_flow and not plane.offers_its_own(view, report)


@polled(POLL_SECONDS, rests)
def run() -> None:
    report = session.poll(frames=False, measured={"jacobians": GRID})
    plane.play_soon()
    if view == "plane":
        opening.follow(plane.hides_settings())
    if _trains(report):
        transport.show(report)
    # Charts are built anew when they change; while the flow moves only the map, which is not, follows it.
    if alone and session.jacobians_are_new() and (session.bench().view == "plane" or report.state not in MOVING):
        st.rerun()


alone = False  # within a run of the whole script, which draws what was just sent
run()
alone = True


@st.fragment
def shown(view: str) -> None:
    """A change of the bench draws its view alone anew."""
    session.settle()
    SHOW[view](replace(session.bench(), view=view))
    if session.bench().uses_flow != uses_flow:
        st.rerun()


shown(view)
