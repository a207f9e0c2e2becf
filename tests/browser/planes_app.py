"""A page with nothing but panes, over values that are known: a clickable plane, a chart, and a density.

"next" draws the chart and the density anew and leaves the plane alone; "again" runs the script and changes nothing.
"""

import numpy as np
import streamlit as st

from app.components.planes import Area, Chart, Dots, Heat, Level, Pane, Path, clicked, planes
from app.components.take import File

WINDOW = ((-2.0, 2.0), (-1.0, 3.0))
NODES = 21
WHERE_NONE = (0, 0)  # row and column of the heat map's only NaN: the lower left corner


def heat() -> np.ndarray:
    """10^x at every node, but for one."""
    values = 10 ** np.linspace(*WINDOW[0], NODES) * np.ones((NODES, 1))
    values[WHERE_NONE] = np.nan
    return values


def rows() -> np.ndarray:
    """y at every node."""
    return np.linspace(*WINDOW[1], NODES)[:, None] * np.ones(NODES)


def plane() -> Pane:
    return Pane(
        "Plane",
        "z₁ (m)",
        "z₂ (m)",
        WINDOW,
        "words about the plane",
        heat=Heat(heat(), "iterations", "", 0.01, 100.0, log=True),
        levels=(Level(rows(), 1.5, "y = 1.5", "#D55E00", "dash"),),
        paths=(Path(np.array([[-1.0, 0.0], [0.0, 1.0], [np.nan, np.nan], [1.0, 2.0]]), "steps", markers=True),),
        dots=(Dots(np.array([[1.0, 2.0]]), "end", "#CC79A7", "star", 12.0),),
        note="Choose a point.",
        clickable=True,
    )


def chart(step: int) -> Chart:
    n = np.arange(1.0, 11.0 + step)
    return Chart(
        "Error",
        "iteration n",
        "‖r‖ (m)",
        tuple(Path(np.stack([n, 10.0 ** (-n * k)], 1), f"rate {k}", dash="dot") for k in (1, 2)),
        "words about the chart",
        log_y=True,
        areas=(Area(*(np.stack([n, 10.0 ** (-n * k)], 1) for k in (2, 1)), "", "#0072B2", 0.15),),
    )


def density(step: int) -> Pane:
    values = np.full((NODES, NODES), 0.1 * (step + 1))
    heat = Heat(values, "density", "per unit area", 0.0, 1.0)
    return Pane("Density", "x₁", "x₂", WINDOW, "**words** about it", heat)


def nothing() -> str:
    raise ValueError("There is nothing yet: press next.")


st.set_page_config(layout="wide")


@st.fragment
def page() -> None:
    if st.button("next"):
        st.session_state.step = st.session_state.get("step", 0) + 1
    st.button("again")
    step = st.session_state.get("step", 0)
    files = [File("Made of nothing", "nothing.csv", nothing), File("Step", "step.csv", lambda: f"step\n{step}\n")]
    planes([plane(), chart(step), density(step)], key="panes", columns=3, files=files)
    found = clicked("panes")
    st.text("nothing" if found is None else f"pane {found[0]}: {found[1]:.4f}, {found[2]:.4f}")
    st.session_state.runs = st.session_state.get("runs", 0) + 1
    st.text(f"run {st.session_state.runs}")


page()
