"""Explore: a residual flow learns a density, live."""

from dataclasses import replace
from typing import Any

import streamlit as st

from app import channel, session
from app.components import live
from app.estimates.settings import Bench, matrix_problem
from app.features.explore import canvas
from app.ui import block_table, heading, matrices, notices, opening, transport
from app.ui.fragments import polled, rests
from app.ui.scene import POLL_SECONDS, scene_of, truth_of
from app.ui.time_line import time_line
from resflow_core.log_det import Roulette, Truncated
from resflow_core.measure import BlockTable

FRAME_SECONDS = 1 / 16  # from one picture to the next, where one process has no other work

with st.container():  # whatever comes and goes here must not move the picture, which would be built anew
    notices.show()
with st.container(horizontal=True, vertical_alignment="center", key="head"):
    heading.title("How does a residual flow learn a density?", width="content")
    live.readouts(key="readouts")


@polled(POLL_SECONDS, rests)
def run() -> None:
    wish = channel.CHANNEL.wish(session.last_report().id, live.wish("panes"))
    measured = wish.measured(session.VIEW_REQUEST.measured)
    report = session.poll(
        depth=wish.depth,
        measured=measured,
        frames=wish.pictures,
        weights=wish.weights,
        frame_seconds=FRAME_SECONDS,
    )
    session.rest(live.chosen_moment("panes"))
    here, draws = moment(), session.draws()
    transport.show(report, primary=not draws, slowly=not draws and not here, here=moment)
    with st.container():
        transport.message(report)
    scene = scene_of(session.setup(), report, session.VIEW_REQUEST.points)
    if draws:
        canvas.show(scene)
    else:
        picture(scene, here)
    if session.turns():
        st.rerun()
    if (own := session.setup().own) and own.drawing:
        arm = report.arms[0] if report.arms else None
        st.caption(canvas.takeaway(session.note(canvas.stand_in(own.table, arm))))
    frame = report.arms[0].frame if report.arms else None
    if frame and frame.refusal:
        st.info(f"No samples are drawn. {frame.refusal}", icon=":material/block:")
    if report.arms:
        blocks(report.arms[0].blocks, report.arms[0].step if here else None)


def picture(scene: dict[str, Any], here: session.Moment | None) -> None:
    """The live picture, with what it is offered and the time line of its run."""
    scene |= {"checks": matrices.offered(), "hints": opening.is_due(), "curves": session.is_about_curves()}
    scene["time"] = time_line(session.checkpoints(), here.step if here else None, session.continues())
    live.live_panes(scene, key="panes", checked=check_by_hand)


def moment() -> session.Moment | None:
    """The earlier moment that the picture shows."""
    return session.moment(live.chosen_moment("panes"))


def check_by_hand() -> None:
    """Take the matrix of the chosen block to *Check by hand*, with the estimator that trains this flow."""
    entries, log_det = live.matrix_to_check("panes"), session.setup().train.log_det
    if entries is None or matrix_problem(entries):
        return
    bench: Bench = replace(session.bench(), view="by_hand", matrix=entries)
    if isinstance(log_det, Truncated):
        bench = replace(bench, n_terms=log_det.n_terms, probe=log_det.probe)
    elif isinstance(log_det, Roulette):
        bench = replace(bench, law=log_det.law, probe=log_det.probe)
    session.show_bench(bench)
    session.turn_to("estimator")


def blocks(table: BlockTable | None, step: int | None) -> None:
    """The blocks in numbers, for those who unfold them; of which step, if the picture shows another."""
    expander = st.expander("Blocks", on_change="rerun", key="blocks_table")
    if not expander.open:
        return
    if step is not None:
        expander.caption(f"These are the blocks at step {step:,}, the newest. The picture shows an earlier step.")
    if table is None:
        expander.caption("Not measured yet.")
    else:
        expander.caption(block_table.takeaway(session.note(block_table.standouts(table))))
        expander.markdown(block_table.markdown(table))


run()
live.mount_truth(*truth_of(session.setup()))
