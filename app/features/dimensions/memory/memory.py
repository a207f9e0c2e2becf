"""What the gradient of the log det costs in bytes, time and noise, by each way to differentiate it."""

import streamlit as st

from app import session
from app.components.planes import planes
from app.engine.reports import MOVING, Report, State
from app.features.dimensions.memory import charts, explained, words
from app.features.dimensions.memory.numbers import saving
from app.features.dimensions.memory.settings import MEMORY, Memory
from app.ui import controls, share, transport
from app.ui.fragments import button, polled
from app.ui.scene import POLL_SECONDS
from resflow_core.measure import Survey, SurveyPlan
from resflow_core.settings import settings_of

IN_SIGHT = ("dim", "blocks", "terms", "drawn", "part")
BUSY = {*MOVING, State.QUEUED, State.LOADING}


def show() -> None:
    bench = settings(session.bench(Memory))
    session.apply_bench(bench)
    of = bench.plan(session.setup().flow)
    if of.problem:
        st.warning(of.problem, icon=":material/warning:")
    else:
        by_the_clock = session.measures(of)
        polled(POLL_SECONDS if by_the_clock else None)(measured)(bench, of, by_the_clock)


def settings(bench: Memory) -> Memory:
    """A row of them, the others behind a button."""
    others = settings_of(Memory).keys() - set(IN_SIGHT)
    for name, column in controls.row(dict.fromkeys(IN_SIGHT, 1) | {"more": 0.8}, MEMORY, more=others).items():
        with column:
            if name != "more":
                bench = controls.edit(bench, rare=False, prefix=MEMORY, only=(name,))
                continue
            with st.popover("More", width="stretch"):
                bench = controls.edit(bench, rare=False, prefix=MEMORY, only=others)
    return bench


def measured(bench: Memory, of: SurveyPlan, by_the_clock: bool) -> None:
    """What was measured so far. `by_the_clock`: it is drawn again and again, which a run that measures needs."""
    session.settle()
    report = session.follow_survey(of)
    if session.measures(of) != by_the_clock:
        st.rerun()
    survey = session.survey(of)
    with st.container():
        buttons(survey, report)
        if report:
            transport.message(report)
    st.markdown(words.verdict(bench, session.note(saving(bench, survey))) if survey.step else words.NOT_YET)
    if survey.step:
        planes(charts.charts(bench, survey), key="memory.panes", columns=2)
        st.markdown(words.table(bench, survey))
        st.caption(explained.growth(bench, survey))
        st.caption(explained.NOISE)
    with st.expander("How it is measured"):
        st.markdown(explained.how(of))
    with st.expander("In the paper"):
        st.markdown(explained.IN_THE_PAPER)


def buttons(survey: Survey, report: Report | None) -> None:
    """Measure, stop, go on, and again from the start; how far it is."""
    busy, pieces = report is not None and report.state in BUSY, survey.of.pieces
    done = report.arms[0].step if report and report.arms else survey.step
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if busy:
            button("Stop", on_click=session.stop_survey, type="primary", icon=":material/stop:", key=f"{MEMORY}stop")
        elif not survey.complete:
            button(
                "Go on" if done else "Measure",
                on_click=session.go_on_with_survey,
                args=(survey.of,),
                type="primary",
                icon=":material/play_arrow:",
                key=f"{MEMORY}go_on" if done else f"{MEMORY}measure",
            )
        if done and not busy:
            button(
                "Measure again",
                on_click=session.survey_anew,
                args=(survey.of,),
                icon=":material/refresh:",
                key=f"{MEMORY}again",
            )
        share.of_settings("memory")
        if busy or 0 < done < pieces:
            st.progress(min(1.0, done / pieces), f"Measured {done} of {pieces}", width=260)
