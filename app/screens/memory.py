"""Memory: what the gradient of the log det costs in bytes, time and noise, by each way to differentiate it."""

import streamlit as st
from streamlit.errors import StreamlitAPIException

from app import controls, notices, session, transport
from app.link import MEMORY
from app.memory import charts, explained, words
from app.memory.settings import Memory
from app.memory.survey import Subject, Survey, subject_of
from app.planes import planes
from app.polling import button
from resflow_core.settings import settings_of

# Until a run of the page's part alone goes on by itself.
START_SECONDS = 0.5
IN_SIGHT = ("dim", "blocks", "terms", "drawn", "part")

st.header("What does a gradient cost?", anchor=False)
with st.container():
    notices.show()


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


def measured(bench: Memory, of: Subject, called: bool) -> None:
    """What was measured so far: one part after the other, while the page stays in use. `called`: again and again."""
    session.settle()
    survey = session.survey(of)
    survey.go_on()
    _buttons(survey)
    st.markdown(words.verdict(bench, survey))
    planes(charts.charts(bench, survey), key="memory.panes", columns=2)
    st.markdown(words.table(bench, survey))
    st.caption(explained.growth(bench, survey))
    st.caption(explained.NOISE)
    with st.expander("How it is measured"):
        st.markdown(explained.how(of))
    with st.expander("In the paper"):
        st.markdown(explained.IN_THE_PAPER)
    try:
        if survey.busy:
            st.rerun(scope="fragment")
        elif called:
            st.rerun()  # and nothing has to be called again
    except StreamlitAPIException:  # the whole page is being drawn; this part is called soon
        pass


def _buttons(survey: Survey) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if survey.busy:
            button("Stop", on_click=survey.stop, icon=":material/stop:", key=f"{MEMORY}stop")
        else:
            if not survey.complete:
                button("Go on", on_click=survey.resume, icon=":material/play_arrow:", key=f"{MEMORY}go_on")
            button(
                "Measure again",
                on_click=session.survey_anew,
                args=(survey.of,),
                icon=":material/refresh:",
                key=f"{MEMORY}again",
            )
        transport.settings_link("memory")
        if survey.busy:
            st.progress(survey.done / survey.total, f"Measured {survey.done} of {survey.total}", width=260)


bench = settings(session.bench(Memory))
session.apply_bench(bench)
of = subject_of(bench, session.setup().flow)
if of.problem:
    st.warning(of.problem, icon=":material/warning:")
else:
    busy = session.survey(of).busy
    st.fragment(measured, run_every=START_SECONDS if busy else None)(bench, of, busy)
