"""Stretch: the change of variables, on a map of the plane."""

from dataclasses import replace

import streamlit as st

from app import session
from app.components.planes import clicked, planes
from app.components.take import File
from app.features.stretch import words
from app.features.stretch.bases import BASES
from app.features.stretch.density import TURN, follow, total
from app.features.stretch.examples import buttons
from app.features.stretch.maps import MAPS
from app.features.stretch.pictures import panes
from app.features.stretch.settings import STRETCH, Stretch, picked
from app.takeaway.of_map import Quadrature
from app.takeaway.programs import PROGRAMS
from app.ui import controls, heading, notices, opening, share, takeaway
from app.ui.matrices import formula, typed_matrix
from resflow_core.settings import settings_of

PICTURES = "stretch.panes"
WIDTHS = {"map": 180, "forget": 230, "base": 200, "point": 120, "side": 140, "strength": 140, "frequency": 130}

heading.title("What does a map do to a density?")
with st.container():
    notices.show()


@st.fragment
def shown() -> None:
    """A change of the settings draws this part alone anew."""
    session.settle()
    answer, beside = st.container(), session.lies_under_lesson()
    bench = settings(session.bench(Stretch))
    session.apply_bench(bench)
    found, mass = session.note(follow(bench)), session.note(total(bench.f, bench.base, bench.forget))
    chooses = session.offered(f"{STRETCH}point")
    if opens := opening.is_due() and not bench.forget:
        with answer:
            opening.sentence(words.answer(bench, found, total(bench.f, bench.base, forget=True)))
    drawn = panes(bench, found, clickable=chooses, both=opens)

    def pictures() -> None:
        planes(drawn, key=PICTURES, columns=3 if opens else 2, files=program(bench))
        click_it = " Click into the x plane, or move the ring with the arrow keys." if chooses else ""
        st.caption(f"{words.areas(bench, found)}{click_it}")

    def numbers() -> None:
        with st.container(horizontal=True, gap="xsmall", key="numbers_above" if beside else "numbers"):
            for metric in words.metrics(bench, found, mass):
                st.metric(metric.label, metric.value, help=metric.help, width=metric.width)

    def sentence() -> None:
        if not opens:
            with st.container(key="said_below" if beside else "said"):
                st.markdown(words.takeaway(bench, found, mass))

    # A lesson asks for the numbers: they are in sight beside it, above all that has another height with another W.
    for part in (numbers, sentence, pictures) if beside else (sentence, pictures, numbers):
        part()
    if not session.predicts():  # its formula may be what is asked for
        st.markdown(words.equation(bench, found))
    if chooses and session.is_new(PICTURES, click := clicked(PICTURES)):
        session.show_bench(replace(bench, point=picked(click[1:])))
        st.rerun()


def program(bench: Stretch) -> list[File]:
    """What computes the density at the point, and its mass."""
    base = BASES[bench.base]
    seen = bench.base, bench.point, Quadrature(base.radius, base.cells, TURN)
    if bench.map == "linear":
        return takeaway.behind("stretch", PROGRAMS["linear map"], bench.matrix, *seen)
    return takeaway.behind("stretch", PROGRAMS["residual block"], bench.strength, bench.frequency, *seen)


def settings(bench: Stretch) -> Stretch:
    beside = session.lies_under_lesson()  # a lesson offers a few of them: one row will do
    row = st.container(horizontal=True, gap="medium", vertical_alignment="center") if beside else None
    with row or st.container(horizontal=True, gap="small", vertical_alignment="center"):
        examples = st.container(horizontal=True, gap="small", width="content")
        bench = widget(bench, "forget")
        share.of_settings("stretch")
    row, told = row or st.container(horizontal=True, gap="medium"), st.empty()
    with row:
        bench = widget(bench, "map")
        own = MAPS[bench.map].settings
        if "matrix" in own and session.offered(f"{STRETCH}matrix"):
            with st.container(width=170):
                st.caption("W, row by row")
                limits = settings_of(Stretch)["matrix"][1]
                matrix = typed_matrix(bench.matrix, limits, f"{STRETCH}matrix", told)
                bench = replace(bench, matrix=matrix)
        for name in (*own, "base", "point", "side"):
            if name != "matrix":
                bench = widget(bench, name)
    if "matrix" in own and not session.offered(f"{STRETCH}matrix"):
        st.markdown(formula(bench.matrix, settings_of(Stretch)["matrix"][1]))
    with examples:  # last, because they mark what is shown
        buttons(bench)
    return bench


def widget(bench: Stretch, name: str) -> Stretch:
    if not session.offered(f"{STRETCH}{name}"):
        return bench
    with st.container(width=WIDTHS[name]):
        return controls.edit(bench, rare=False, prefix=STRETCH, only=(name,))


shown()
