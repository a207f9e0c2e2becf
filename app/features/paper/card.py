"""One claim as a card: what the paper says, what shows here, and the ways to more."""

import streamlit as st

from app import evidence
from app.features.paper import controls, picture, taken
from app.features.paper.claims import Claim
from app.features.paper.found import Found
from app.lessons.shelf import shelf
from app.ui import heading, live_runs

COLUMNS = (3, 2)


def show(number: int, name: str, claim: Claim, found: Found) -> None:
    """In its place among the others."""
    with st.container(border=True, key=f"claim_{name}", gap="small"):
        heading.section(f"{number}. {claim.title}")
        words, drawn = st.columns(COLUMNS, gap="medium")
        with words:
            st.markdown(f"{claim.says} :gray[({claim.at} of the paper)]")
            st.latex(claim.equation)
            with st.container(key=f"verdict_{found.kind.name.lower()}_{name}"):
                st.markdown(f"{found.kind.sign} {found.sentence}")
            st.caption(f"{found.ruled} *Control:* {controls.sentence(name)}")
        with drawn:
            st.html(picture.figure(found.picture))
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"claim_{name}_ways"):
            _ways(name, claim)
            taken.menu(f"claim_{name}", claim.title, found.picture)
        st.caption(_source(claim))


def _ways(name: str, claim: Claim) -> None:
    run = live_runs.RUNS[claim.runs]
    st.button(
        "Run it here",
        on_click=live_runs.want,
        args=(claim.runs,),
        key=f"paper.run.{name}",
        icon=":material/play_arrow:",
        help=f"Opens “{run.title}” with the settings of what is stored, and begins.",
    )
    lesson = shelf().lesson(claim.lesson) if claim.lesson else None
    if lesson:
        label = f"Lesson {lesson.number}: {lesson.title}"
        st.page_link(
            "features/learn/learn.py", label=label, icon=":material/school:", query_params={"lesson": lesson.id}
        )
    elif claim.explained[0]:
        word, slug = claim.explained
        st.markdown(f":material/menu_book: [Glossary: {word}](glossary#{slug})", width="content")


def _source(claim: Claim) -> str:
    """What made its numbers, what makes them anew, and where the idea is written."""
    dates = sorted({evidence.stored(name).date for name in claim.evidence})
    places = ", ".join(f"`resflow_core/{place.file}`, `{place.name}`" for place in claim.code)
    return f"Measured on {' and '.join(dates)}; anew by `{claim.command}`. Written in {places}."
