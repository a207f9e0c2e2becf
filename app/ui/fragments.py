"""Parts of a page that are drawn anew by the clock.

With every call of the clock (`run_every`) the browser sends what it shows: clicks that are not yet sent, which would
count twice, and values that an answer on its way is just changing, which would be undone. So the clock calls a fragment
without widgets of its own, and says nothing of widgets (`streamlit_internals.let_clocks_say_nothing_of_widgets`).
"""

import math
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from app import channel, session
from app.clockwork import CLOCKWORK, Clock
from app.streamlit_internals import call_every, fragment_of_this_call, fragments_of_this_run
from app.turns import TURNS

Part = Callable[..., None]
REST_SECONDS = 60.0


def clocked(seconds: float | None, rests: Callable[[], bool] = lambda: False) -> Callable[[Part], Part]:
    """Decorate what is called every so many seconds (None: with the page alone), and has no widgets. While it `rests`
    it is called every `REST_SECONDS`, and all clocks are slower where there are many (`clockwork`)."""

    def decorate(part: Part) -> Part:
        @wraps(part)
        def called(*args: Any, **kwargs: Any) -> None:
            with TURNS.turn(session.attend):
                fragment, began = fragment_of_this_call() or "", time.thread_time()
                clock = _clock(fragment, seconds)
                if not _is_by_clock():
                    session.stir()
                part(*args, **kwargs)
                if seconds:
                    cost = time.thread_time() - began
                    _set(fragment, clock, CLOCKWORK.note(clock, REST_SECONDS if rests() else seconds, cost))

        return st.fragment(called, run_every=seconds)

    return decorate


def polled(seconds: float | None, rests: Callable[[], bool] = lambda: False) -> Callable[[Part], Part]:
    """Decorate a part of the page that is drawn anew every so many seconds, and after a click in it; as `clocked`."""

    def decorate(part: Part) -> Part:
        @wraps(part)
        def drawn(*args: Any, **kwargs: Any) -> None:
            if fragments_of_this_run() and not _is_by_clock():  # a whole run sets all clocks anew
                session.stir()
                for fragment, clock in session.clocks().items():
                    if clock.asked == REST_SECONDS:
                        _set(fragment, clock, clock.usual)
            part(*args, **kwargs)

        return clocked(seconds, rests)(st.fragment(drawn))

    return decorate


def rests() -> bool:
    """Whether nothing happens on the page by itself, and a clock may call so seldom that the engine would take the page
    for gone: since the channel tells otherwise, or the run has no steps to lose."""
    run = session.last_report()
    return session.at_rest() and (channel.CHANNEL.is_read(run.id) or not any(arm.step for arm in run.arms))


def _is_by_clock() -> bool:
    """Whether this run of the script is a clock's alone."""
    running = fragments_of_this_run()
    return bool(running) and session.clocks().keys() >= running


def _clock(fragment: str, seconds: float | None) -> Clock:
    """That of this fragment; set anew if it was drawn with what is around it, as the browser's is."""
    clocks = session.clocks()
    if fragment not in clocks or fragment not in fragments_of_this_run():
        clocks[fragment] = Clock(seconds or math.inf)
    return clocks[fragment]


def _set(fragment: str, clock: Clock, seconds: float) -> None:
    if seconds != clock.seconds:
        call_every(fragment, seconds)
        clock.seconds = seconds


def again() -> None:
    """Draw this part anew at once; the whole page where this part is drawn with what is around it."""
    try:
        st.rerun(scope="fragment")
    except (StreamlitAPIException, RuntimeError):
        st.rerun()
