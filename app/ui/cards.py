"""Cards of questions with their answers, each of which opens what shows it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.components.planes import Chart
from app.ui import thumbnail


@dataclass(frozen=True)
class Card:
    """`question` is its button, and `answer` a sentence; `chart` is drawn small."""

    key: str
    question: str
    answer: str
    chart: Chart
    on_click: Callable[..., None]
    args: tuple[Any, ...] = ()
    is_open: bool = False


def gallery(cards: Sequence[Card], key: str) -> None:
    """The cards in rows; the whole of each is its button (style.css)."""
    with st.container(horizontal=True, gap="small", key=f"cards_{key}"):
        for card in cards:
            with st.container(border=True, key=f"card_{card.key}", width="stretch", gap=None):
                st.html(thumbnail.image(card.chart))
                st.button(
                    card.question,
                    on_click=card.on_click,
                    args=card.args,
                    key=card.key,
                    type="tertiary",
                    icon=":material/check:" if card.is_open else None,
                    disabled=card.is_open,
                )
                st.markdown(card.answer)
