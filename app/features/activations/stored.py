"""The stored answer on the page: its sentence, its picture, and the way to what trains the same flows here."""

from functools import lru_cache, partial

import streamlit as st

from app import evidence, session
from app.components.planes import Chart
from app.evidence import Stored
from app.features.activations import answers, pictures
from app.features.activations.evidence import NAME, NAMES, SEEDS, SETUP, read, units
from app.features.activations.settings import Activations, label_of
from app.features.activations.used import Compared
from app.setup import Setup
from app.text import listed
from app.ui import opening
from app.ui.side_by_side import Opening

PLAYS = "activations.plays"
"""Of the session: whether what is compared plays as soon as it is there."""
HEIGHT = 360
KEY = "activations.stored"
"""Of the picture above the flows that are compared."""


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


def first(setup: Setup, bench: Activations) -> Opening:
    """What stands in the place of flows before they are trained: the stored answer, if it is of them, or if nobody has
    chosen any yet."""
    if is_of(setup, bench.names):
        return Opening(partial(show, key=KEY))
    if _is_as_it_comes(setup, bench):
        return Opening(partial(_show_others, bench.names))
    return Opening(None, take)


def _is_as_it_comes(setup: Setup, bench: Activations) -> bool:
    usual = Setup()
    return not setup.own and bench.names == Activations().names and (setup.data, setup.flow, setup.train) == (
        usual.data, usual.flow, usual.train,
    )  # fmt: skip


def _show_others(names: tuple[str, ...]) -> None:
    """The stored answer above flows that differ from those that it is of."""
    show(key=KEY)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if not session.focused():
            st.button("Train both here", icon=":material/play_arrow:", on_click=train, key=f"{KEY}.both")
        st.caption(
            f"The flows above have {SETUP.flow.blocks} blocks. Play, below, trains "
            f"{listed([label_of(name) for name in names])} with the settings of this page.",
            width="content",
        )


def take() -> None:
    """Take over the settings of the stored answer."""
    session.use(SETUP.data, SETUP.flow, SETUP.train)
    session.show_bench(Activations(view="consequences", shown=",".join(NAMES), seeds=SEEDS))


def train() -> None:
    """Take over the settings of the stored answer, and play."""
    take()
    st.session_state[PLAYS] = True
