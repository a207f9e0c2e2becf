"""Maps worth a look."""

from dataclasses import dataclass, replace

import streamlit as st

from app import session
from app.features.stretch.settings import STRETCH, Stretch


@dataclass(frozen=True)
class Example:
    """The settings of a map, by name."""

    title: str
    why: str
    settings: dict


def _linear(title: str, why: str, *matrix: float) -> Example:
    return Example(title, why, {"map": "linear", "matrix": matrix})


EXAMPLES: dict[str, Example] = {
    "stretch": _linear("Stretch x₁", "det 2: areas double, and so does the density of x.", 2.0, 0.0, 0.0, 1.0),
    "squeeze": _linear("Squeeze both", "det 1/4: the density of x spreads out.", 0.5, 0.0, 0.0, 0.5),
    "shear": _linear("Shear", "det 1: shapes change, but areas stay the same.", 1.0, 1.0, 0.0, 1.0),
    "turn": _linear("Turn", "det 1: nothing is stretched.", 0.8, -0.6, 0.6, 0.8),
    "mirror": _linear("Mirror", "det −1: the plane is turned over, and areas stay the same.", -1.0, 0.0, 0.0, 1.0),
    "block": Example(
        "Residual block",
        "det J changes from place to place.",
        {"map": "residual", "strength": 0.9, "frequency": 1.0},
    ),
}

NEXT = "block"
"""What to look at after a linear map."""


def buttons(bench: Stretch) -> None:
    """One each, side by side; the one that is shown is marked."""
    for name, example in EXAMPLES.items():
        if not session.offered(*(f"{STRETCH}{setting}" for setting in example.settings)):
            continue
        shown = replace(bench, **example.settings)
        st.button(
            example.title,
            on_click=session.show_bench,
            args=(shown,),
            key=f"{STRETCH}example.{name}",
            help=example.why,
            icon=":material/check:" if shown == bench else None,
            disabled=shown == bench,
            type="primary" if name == NEXT and shown != bench else "secondary",
        )
