"""The ready-made questions with their stored answers; each opens as a comparison that can be changed and trained."""

import streamlit as st

from app import session
from app.features.compare import stored
from app.features.compare.presets import PRESETS, Preset, chosen
from app.features.compare.settings import COMPARE, Compare
from app.ui import cards, heading
from app.ui.cards import Card


def show() -> None:
    """Not where data, flow and training cannot all be changed, which they replace."""
    if session.focused():
        return
    is_open = chosen(session.setup(), session.bench(Compare))
    with st.container(key="compare.gallery"):
        heading.section("Questions and their answers")
        cards.gallery(
            [
                Card(
                    f"{COMPARE}preset.{name}",
                    preset.title,
                    stored.sentence(name),
                    stored.chart(name),
                    take,
                    (preset,),
                    preset is is_open,
                )
                for name, preset in PRESETS.items()
            ],
            key="compare",
        )


def take(preset: Preset) -> None:
    """Open a ready-made comparison, on its data and with its flow and training."""
    session.use(preset.data, preset.flow, preset.train)
    session.show_bench(preset.bench)
