"""The stored answer on the page: its sentence, its picture, and the way to what trains the same flows here."""

from functools import lru_cache

import streamlit as st

from app import evidence, session
from app.components.planes import Chart
from app.evidence import Stored
from app.features.activations import answers, pictures
from app.features.activations.evidence import NAME, NAMES, SEEDS, SETUP, read, units
from app.features.activations.settings import Activations, label_of
from app.features.activations.used import Compared
from app.setup import Setup
from app.ui import opening

PLAYS = "activations.plays"
"""Of the session: whether what is compared plays as soon as it is there."""
HEIGHT = 360


def of() -> Stored:
    return evidence.stored(NAME)


@lru_cache(maxsize=1)
def found() -> Compared:
    """What was found of the stored flows."""
    return read(of().found)


@lru_cache(maxsize=1)
def charts() -> tuple[Chart, ...]:
    return tuple(pictures.used({label_of(name): name for name in NAMES}, units(of().found), HEIGHT))


def show(key: str) -> None:
    """Sentence and picture."""
    opening.sentence(answers.sentence(found()))
    opening.picture(charts(), of(), key=key, columns=2)


def is_of(setup: Setup, names: tuple[str, ...]) -> bool:
    """Whether these flows are those of the stored answer, seeds aside."""
    return not setup.own and names == NAMES and (setup.data, setup.flow, setup.train) == (
        SETUP.data, SETUP.flow, SETUP.train,
    )  # fmt: skip


def train() -> None:
    """Take over the settings of the stored answer, and play."""
    session.use(SETUP.data, SETUP.flow, SETUP.train)
    session.show_bench(Activations(view="consequences", shown=",".join(NAMES), seeds=SEEDS))
    st.session_state[PLAYS] = True
