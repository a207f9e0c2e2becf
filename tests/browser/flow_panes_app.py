"""A page with panes of flows that are known: two densities, a third one that was sent as numbers, and samples of the
first; below, beyond the window of the browser, the samples of a flow that is not certified to be invertible.

"next" takes other flows. "moves" says that they train. With `?truth` in the address colours end at a given value. "odd"
has a formula that browsers do not know; once one of them has said so, the page sends numbers instead.
"""

import json
from functools import cache

import numpy as np
import streamlit as st
import torch

from app.components.planes import Density, Dots, Heat, Pane, Samples, planes
from app.engine.training.weights import Weights, encode
from resflow_core import branches, expressions, fast, norms  # noqa: F401 -- they register what a flow is built of
from resflow_core.flow import FlowConfig
from resflow_core.measure import density_grid, flow_shape, folded_numbers

WINDOW = ((-3.0, 3.0), (-2.0, 2.0))
COUNT, NODES, END = 200, 50, 0.25
FIRST, SECOND, THIRD = range(3)


@cache
def flow(k: int):
    """One of the known flows, each with its own activation."""
    activation = ("sine", "lipswish", "maxmin", "elu")[k % 4]
    generator = torch.Generator().manual_seed(k)
    made = FlowConfig(blocks=6, width=8, budget=0.9, activation=activation).build(generator)
    for parameter in made.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return made


def message(k: int, **changes) -> bytes:
    """The weights of a flow, in whose description something else is claimed."""
    return encode(Weights(k, json.dumps(flow_shape(flow(k)) | changes), folded_numbers(flow(k))))


def uncertified(k: int) -> bytes:
    """The weights of a flow whose last block is said to have a bound above 1."""
    return message(k, bounds=[0.9] * 5 + [1.25])


def numbers() -> np.ndarray:
    """The density of the third flow."""
    return density_grid(flow(THIRD), WINDOW, NODES)


def pane(title: str, **shown) -> Pane:
    return Pane(title, "x₁", "x₂", WINDOW, f"words about {title}", **shown)


def density(title: str, values: Density | np.ndarray) -> Pane:
    end = END if "truth" in st.query_params else None
    return pane(title, heat=Heat(values, "density", "per unit area", 0.0, end, smooth=True), legend=False)


def samples(title: str, weights: bytes) -> Pane:
    return pane(title, dots=(Dots(Samples(weights, COUNT), title, "#0072B2", size=4.0),), note="a note")


def refuse() -> None:
    st.session_state.refusals = st.session_state.get("refusals", 0) + 1


def page() -> None:
    k = 4 * st.session_state.get("k", 0)
    if st.button("next"):
        k += 4
        st.session_state.k = k // 4
    moving, odd = st.toggle("moves"), st.toggle("odd")
    refusals = st.session_state.get("refusals", 0)
    st.text(f"refused {refusals} times")
    first = message(k, activation={"tree": ["sinh", "z"], "arrangement": "in place"}) if odd else message(k)
    shown = [
        density("First", numbers() if odd and refusals else Density(first)),
        density("Second", Density(message(k + 1))),
        density("Third", numbers()),
        samples("Samples", message(k)),
    ]
    planes(shown, key="panes", columns=4, moving=moving, refused=refuse)
    st.html("<div style='height: 2000px'></div>")
    planes([samples("Beyond", uncertified(k))], key="beyond", columns=1, moving=moving, refused=refuse)


if __name__ == "__main__":
    st.set_page_config(layout="wide")
    page()
