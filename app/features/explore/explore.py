"""Explore: a residual flow learns a density, live."""

import streamlit as st

from app import channel, session
from app.components import live
from app.engine.reports import ArmReport, Frame
from app.ui import block_table, heading, notices, transport
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS, scene_of, truth_of
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
    transport.show(report, slowly=True)
    with st.container():
        transport.message(report)
    live.live_panes(scene_of(session.setup(), report, session.VIEW_REQUEST.points), key="panes")
    if report.arms and (refusal := next((f.refusal for f in _pictures(report.arms[0]) if f.refusal), "")):
        st.info(f"No samples are drawn. {refusal}", icon=":material/block:")
    if report.arms:
        blocks(report.arms[0].blocks)


def _pictures(arm: ArmReport) -> tuple[Frame, ...]:
    return (*arm.frames, arm.still) if arm.still else arm.frames


def blocks(table: BlockTable | None) -> None:
    """The blocks in numbers, for those who unfold them."""
    expander = st.expander("Blocks", on_change="rerun", key="blocks_table")
    if not expander.open:
        return
    if table is None:
        expander.caption("Not measured yet.")
    else:
        expander.caption(block_table.takeaway(session.note(block_table.standouts(table))))
        expander.markdown(block_table.markdown(table))


run()
live.mount_truth(*truth_of(session.setup(), session.VIEW_REQUEST))
