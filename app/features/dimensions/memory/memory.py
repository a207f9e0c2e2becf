"""What the gradient of the log det costs in bytes, time and noise, by each way to differentiate it."""

import math

import streamlit as st

from app import session
from app.components.planes import planes
from app.engine.reports import MOVING, Report, State
from app.features.dimensions import stored
from app.features.dimensions.memory import bars, charts, explained, words
from app.features.dimensions.memory.numbers import saving
from app.features.dimensions.memory.settings import MEMORY, Memory
from app.takeaway.programs import PROGRAMS
from app.ui import controls, opening, share, takeaway, transport
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS
from resflow_core.gradients import GRADIENTS
from resflow_core.measure import Survey, SurveyPlan
from resflow_core.measure.survey import Place
from resflow_core.settings import settings_of

IN_SIGHT = ("dim", "blocks", "terms", "drawn", "part")
BUSY = {*MOVING, State.QUEUED, State.LOADING}


STARTS = f"{MEMORY}starts"
"""Of the session: whether the measurement begins as soon as the view is there."""


def start_soon() -> None:
    """Measure once the settings that were just chosen hold."""
    st.session_state[STARTS] = True


def show() -> None:
    bench = settings(session.bench(Memory))
    session.apply_bench(bench)
    of = bench.plan(session.setup().flow)
    starts = st.session_state.pop(STARTS, False)
    if of.problem:
        st.warning(of.problem, icon=":material/warning:")
    else:
        if starts:
            session.go_on_with_survey(of)
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
    answer = st.container()
    with st.container():
        buttons(survey, report)
        if report:
            transport.message(report)
    with answer:
        _answer(bench, survey)
    if survey.step:
        with st.expander("How bytes, time and noise grow with the terms and the blocks", key=f"{MEMORY}growth"):
            files = takeaway.behind("memory", PROGRAMS["memory"], survey.of, bench.drawn, bench.part == "log_det")
            planes(charts.charts(bench, survey), key="memory.panes", columns=2, files=files)
            st.caption(explained.growth(bench, survey))
            st.caption(explained.NOISE)
        with st.expander("All numbers: a row for each way to differentiate, and as a file", key=f"{MEMORY}numbers"):
            st.markdown(words.table(bench, survey))
            files = takeaway.tables("memory", {"Table": lambda: words.saved(bench, survey)})
            takeaway.menu(files, key="memory.files")
    with st.expander("How it is measured"):
        st.markdown(explained.how(of))
    with st.expander("In the paper"):
        st.markdown(explained.IN_THE_PAPER)


def _answer(bench: Memory, survey: Survey) -> None:
    """What was measured here, in the place of what is stored."""
    if not survey.step:
        if opening.is_due() and not session.focused():
            stored.show_memory(f"{MEMORY}stored")
        st.markdown(words.NOT_YET)
        return
    opening.sentence(words.verdict(bench, session.note(saving(bench, survey))))
    of = survey.of
    alone = bench.part == "log_det"
    places = {name: Place(name, of.terms, of.flow.blocks) for name in GRADIENTS}
    need = {name: survey.bytes_at(place, bench.drawn, alone) for name, place in places.items()}
    need = {name: value for name, value in need.items() if math.isfinite(value)}
    if need:
        said = f"{charts.what_is_drawn(bench)}; {of.batch} points of d = {of.flow.dim}"
        st.html(bars.html(need, None, said))


def buttons(survey: Survey, report: Report | None) -> None:
    """Measure, stop, go on, and again from the start; how far it is."""
    busy, pieces = report is not None and report.state in BUSY, survey.of.pieces
    done = report.arms[0].step if report and report.arms else survey.step
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if busy:
            st.button("Stop", on_click=session.stop_survey, type="primary", icon=":material/stop:", key=f"{MEMORY}stop")
        elif not survey.complete:
            st.button(
                "Go on" if done else "Measure",
                on_click=session.go_on_with_survey,
                args=(survey.of,),
                type="primary",
                icon=":material/play_arrow:",
                key=f"{MEMORY}go_on" if done else f"{MEMORY}measure",
            )
        if done and not busy:
            st.button(
                "Measure again",
                on_click=session.survey_anew,
                args=(survey.of,),
                icon=":material/refresh:",
                key=f"{MEMORY}again",
            )
        share.of_settings("memory")
        if busy or 0 < done < pieces:
            st.progress(min(1.0, done / pieces), f"Measured {done} of {pieces}", width=260)
