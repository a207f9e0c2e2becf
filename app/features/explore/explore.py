"""Explore: a residual flow learns a density, live."""

import streamlit as st

from app import channel, session
from app.components import live
from app.engine.reports import ArmReport, Frame
from app.ui import block_table, heading, notices, transport
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS, scene_of, truth_of
from app.ui.time_line import time_line
from resflow_core.measure import BlockTable

FRAME_SECONDS = 1 / 16  # from one picture to the next, where one process has no other work

with st.container():  # whatever comes and goes here must not move the picture, which would be built anew
    notices.show()
with st.container(horizontal=True, vertical_alignment="center", key="head"):
    heading.title("How does a residual flow learn a density?", width="content")
    live.readouts(key="readouts")


@polled(POLL_SECONDS)
def run() -> None:
    depth = channel.CHANNEL.depth(session.last_report().id, live.chosen_depth("panes"))
    report = session.poll(depth=depth, frame_seconds=FRAME_SECONDS)
    here = moment()
    transport.show(report, here=moment)
    with st.container():
        transport.message(report)
    glimpse = session.glimpse(here)
    scene = scene_of(session.setup(), report, session.VIEW_REQUEST.points)
    scene["time"] = time_line(
        session.as_it_was(report.arms[0].step if report.arms else 0),
        session.checkpoints(),
        here.step if here else None,
        session.continues(),
        glimpse,
    )
    if scene["time"]["glimpse"]:
        scene["still"] = None  # of the newest: the browser has it
    live.live_panes(scene, key="panes", on_moment=rest)
    if report.arms and (refusal := next((f.refusal for f in _pictures(report.arms[0]) if f.refusal), "")):
        st.info(f"No samples are drawn. {refusal}", icon=":material/block:")
    if report.arms:
        blocks(report.arms[0].blocks, report.arms[0].step if here else None)


def moment() -> session.Moment | None:
    """The earlier moment that the picture shows."""
    return session.moment(live.chosen_moment("panes"))


def rest() -> None:
    session.rest(live.chosen_moment("panes"))


def _pictures(arm: ArmReport) -> tuple[Frame, ...]:
    return (*arm.frames, arm.still) if arm.still else arm.frames


def blocks(table: BlockTable | None, step: int | None) -> None:
    """The blocks in numbers, for those who unfold them; of which step, if the picture shows another."""
    expander = st.expander("Blocks", on_change="rerun", key="blocks_table")
    if not expander.open:
        return
    if step is not None:
        expander.caption(f"These are the blocks at step {step:,}, the newest; the picture shows an earlier one.")
    if table is None:
        expander.caption("Not measured yet.")
    else:
        expander.caption(block_table.takeaway(session.note(block_table.standouts(table))))
        expander.markdown(block_table.markdown(table))


run()
live.mount_truth(*truth_of(session.setup(), session.VIEW_REQUEST))
