"""Explore: a residual flow learns a density, live."""

import streamlit as st

from app import live, session
from app.engine.messages import MOVING, ArmReport, Report, State
from app.scene import POLL_SECONDS, held_out_nll, scene_of

st.header("How does a residual flow learn a density?", anchor=False)

if session.refused():
    shown, more = session.refused()[:5], len(session.refused()) - 5
    rest = f" And {more} more." if more > 0 else ""
    st.warning("The link could not be followed in all: " + " ".join(shown) + rest, icon=":material/link_off:")


@st.fragment(run_every=POLL_SECONDS)
def run() -> None:
    report = session.poll()
    transport(report)
    live.live_panes(scene_of(session.setup(), report, session.DEMAND.points), key="panes")
    if report.message:
        stopped = report.state in (State.DIVERGED, State.FAILED, State.EXPIRED)
        (st.error if stopped else st.info)(report.message)


def transport(report: Report) -> None:
    """The row of buttons and the line of numbers."""
    moving = report.state in MOVING
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Pause" if moving else "Play",
            icon=":material/pause:" if moving else ":material/play_arrow:",
            type="primary",
            on_click=session.play_or_pause,
            key="play",
            width=110,
        )
        st.button("1 step", on_click=session.step, args=(1,), icon=":material/skip_next:", key="step")
        st.button("100 steps", on_click=session.step, args=(100,), icon=":material/fast_forward:", key="steps")
        st.button("Reset", on_click=session.reset, icon=":material/restart_alt:", key="reset")
        st.markdown(status(report))


def status(report: Report) -> str:
    """Step, speed, device, time and fit, in one line."""
    if not report.arms:
        return f":gray[{report.state.value} …]"
    arm: ArmReport = report.arms[0]
    parts = [f"step **{arm.step:,}**", f"**{arm.steps_per_second:.0f}** steps/s on {report.device.upper()}"]
    parts.append(f"**{arm.seconds:.0f} s** trained")
    if nll := held_out_nll(arm):
        parts.append(f"held-out NLL **{nll[0]:.3f}** ± {nll[1]:.3f} nats")
    return " &nbsp;·&nbsp; ".join(parts)


run()
