"""Parts of a page that are drawn anew by the clock, and buttons that count once beside them.

The browser sends a click a moment after it was made, and with every call of the clock (`run_every`) all that was
clicked and not yet sent. A click in that moment arrives twice: with the clock's call, then by itself. So the clock
calls a fragment without widgets of its own, and a button does nothing in a run that is the clock's alone: its own call
comes after it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from app import session
from app.streamlit_internals import fragment_of_this_call, fragments_of_this_run
from app.turns import TURNS

Part = Callable[..., None]


def clocked(seconds: float | None) -> Callable[[Part], Part]:
    """Decorate what is called every so many seconds (None: with the page alone), and has no widgets."""

    def decorate(part: Part) -> Part:
        @wraps(part)
        def called(*args: Any, **kwargs: Any) -> None:
            with TURNS.turn(session.attend):
                session.clocks().add(fragment_of_this_call())
                part(*args, **kwargs)

        return st.fragment(called, run_every=seconds)

    return decorate


def polled(seconds: float | None) -> Callable[[Part], Part]:
    """Decorate a part of the page that is drawn anew every so many seconds, and after a click in it."""
    return lambda part: clocked(seconds)(st.fragment(part))


def button(label: str, *, on_click: Part, **how: Any) -> None:
    """`st.button`, for what is to be done once for each click."""

    @wraps(on_click)
    def once(*args: Any, **kwargs: Any) -> None:
        running = fragments_of_this_run()
        if not running or not session.clocks().issuperset(running):
            on_click(*args, **kwargs)

    st.button(label, on_click=once, **how)


def again() -> None:
    """Draw this part anew at once; the whole page where this part is drawn with what is around it."""
    try:
        st.rerun(scope="fragment")
    except (StreamlitAPIException, RuntimeError):
        st.rerun()
