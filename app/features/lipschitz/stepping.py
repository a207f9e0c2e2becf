"""Banach's iteration from a z back to its x, step by step: the buttons, and what is promised and seen at a step."""

import numpy as np
import streamlit as st

from app import session
from app.features.lipschitz.pictures import steps_to
from app.words import number
from resflow_core.measure import Walk
from resflow_core.measure.inversion import GOAL

AT = "lipschitz.steps.at"
"""Of the session: the step that is looked at."""
END = 10_000
"""A step that no walk has: its end is shown."""


HOW = (
    "xₙ₊₁ = z − s g(xₙ) is Banach's iteration. Click into the left plane, or move its ring with the arrow keys, to "
    "walk from another z."
)


def step(walk: Walk) -> int:
    """The one that is looked at; at first z itself."""
    return min(st.session_state.get(AT, 0), steps_to(walk))


def go(to: int) -> None:
    st.session_state[AT] = to


def buttons(walk: Walk, *, primary: bool = True) -> None:
    """Steps back and forth."""
    n, last = step(walk), steps_to(walk)
    choices = [
        ("Back to z", 0, ":material/first_page:", n == 0),
        ("One step back", n - 1, ":material/chevron_left:", n == 0),
        ("Next step", n + 1, ":material/chevron_right:", n == last),
        ("To the end", END, ":material/last_page:", n == last),
    ]
    with st.container(horizontal=True, gap="small", key="lipschitz.stepping"):
        for k, (label, to, icon, disabled) in enumerate(choices):
            st.button(
                label,
                icon=icon,
                type="primary" if primary and label == "Next step" and not session.asks() else "secondary",
                on_click=go,
                args=(to,),
                disabled=disabled,
                key=f"lipschitz.steps.{k}",
            )


def told(walk: Walk, promised: np.ndarray, n: int) -> str:
    """Where the iteration is after `n` steps, and how far from x."""
    x = ", ".join(number(value) for value in walk.x[n])
    begins = f"**x₀ = z = ({x}).** " if not n else f"**Step {n}: xₙ = ({x}).** "
    seen = f"It is **{walk.error[n]:.2g}** from x"
    if not np.isfinite(walk.error[n]):
        return f"{begins}No x was found for this z, or the iteration left. Nothing is promised here."
    if not np.isfinite(promised[n]):
        return f"{begins}{seen}. Beyond s = 1/L nothing is promised. The iteration {walk.fate}."
    there = f" The iteration has arrived: ‖z − x − s g(x)‖ is at most {GOAL:g}." if walk.residual[n] <= GOAL else ""
    return f"{begins}{seen}, and at most {promised[n]:.2g} was promised.{there}"
