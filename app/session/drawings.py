"""The drawing: the plane to paint on, what is painted there, and the flow that learns it."""

from dataclasses import replace

import streamlit as st

from app.drawing import Drawing, DrawingError
from app.link import DRAWING
from app.session.kept import remember
from app.session.page import current
from app.session.plan import note_change
from app.session.run import start
from app.setup import OwnData, drawn


def draws() -> bool:
    """Whether the plane to paint on stands in the place of the live picture."""
    page = current()
    return page.draws and page.picked == DRAWING and not page.lies_under_lesson


def drawing() -> Drawing:
    """What is painted, whether it can be learned or not."""
    return current().drawing


def canvas() -> str:
    """Which plane it is: one that was put down and taken up again is another."""
    page = current()
    return f"{page.entry.page}.{page.canvases}"


def drawing_problem() -> str:
    """Why what is painted cannot be learned, or ""."""
    return current().problems.get(DRAWING, "")


def learns_drawing() -> bool:
    """Whether the page's flow learns a drawing."""
    own = current().setup.own
    return own is not None and own.drawing is not None


def start_drawing() -> None:
    """Take up the plane, with what is on it."""
    page = current()
    page.picked = DRAWING
    if not page.draws:
        page.draws, page.stale, page.canvases, page.paints = True, True, page.canvases + 1, False
        _judge(page.drawing)


def arrive_to_draw() -> None:
    """Take up the plane where a door of the page leads to it."""
    query = st.query_params.to_dict()
    if query == {"data": DRAWING} and current().address != query:
        start_drawing()


def pick_drawing() -> None:
    """Mark the drawing among the data; where there is none that can be learned, take up the plane."""
    page = current()
    page.picked = DRAWING
    if not _judge(page.drawing):
        start_drawing()


def take_strokes(widget: str) -> None:
    """The strokes that the plane has sent: a flow begins to learn them at once. If they cannot be learned, the present
    flow goes on. What is painted stays in any case."""
    rows = st.session_state[widget].strokes
    if rows is None:
        return
    try:
        new = Drawing.of_rows(rows)
    except DrawingError as error:
        current().problems[DRAWING] = str(error)
        return
    learn(new)


def learn(new: Drawing) -> None:
    """Let a flow learn this drawing from its first step on. The flow that was there before painting began is kept."""
    page = current()
    if new == page.drawing and learns_drawing():
        return
    page.drawing = new
    if not (own := _judge(new)) or own == page.setup.own:
        return
    if not page.paints:
        remember()
    old, page.paints, page.draws = page.setup, True, True
    page.setup = replace(old, own=own)
    note_change(old, page.setup)
    page.picked, page.plays = DRAWING, True
    start(page.setup)


def put_down(widget: str | None = None) -> None:
    """Put the plane away. What is painted and cannot be learned waits there."""
    page = current()
    if widget and not st.session_state[widget].done:
        return
    page.draws, page.stale = False, True
    own = page.setup.own
    if not page.drawing.strokes or not len(page.drawing.points):
        page.problems.pop(DRAWING, None)
        page.drawing = own.drawing if own and own.drawing else page.drawing
    elif problem := drawing_problem():
        page.notice = f"{problem} Your painting is kept: choose *Draw*, or press *Go on drawing*."
    kept = page.drawing
    page.mark(page.setup)
    page.drawing = kept


def drawn_data(otherwise: OwnData | None) -> OwnData | None:
    """The drawing as data; `otherwise` where it cannot be learned."""
    page = current()
    if otherwise and otherwise.choice == page.drawing:
        return otherwise
    return _judge(page.drawing) or otherwise


def _judge(new: Drawing) -> OwnData | None:
    """The drawing as data. Where it is none, the page says why, unless nothing is painted."""
    problems = current().problems
    problems.pop(DRAWING, None)
    if not new.strokes:
        return None
    try:
        return drawn(new)
    except DrawingError as error:
        problems[DRAWING] = str(error)
        return None
