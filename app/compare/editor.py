"""What is compared: ready-made questions, the arms, and how long and how often each is trained."""

import streamlit as st

from app import controls, session
from app.compare.arms import contenders
from app.compare.presets import PRESETS, Preset
from app.compare.settings import Compare
from app.link import COMPARE
from app.setup import Setup

ARMS = ("a", "b", "c", "d")


def edit(setup: Setup) -> Compare:
    """Draw all of it, and return it as it now stands."""
    bench = session.bench(Compare)
    presets = st.container()
    columns = st.columns(len(ARMS) + 2, gap="small", vertical_alignment="bottom")
    below = []
    for name, column in zip(ARMS, columns, strict=False):
        with column:
            below.append(st.container())
            with st.popover(f"Arm {name.upper()}", width="stretch", icon=":material/tune:"):
                bench = controls.edit(bench, rare=False, prefix=COMPARE, only=(name,))
                bench = controls.edit(bench, rare=True, prefix=COMPARE, only=(name,))
    for name, column in zip(("seeds", "steps"), columns[len(ARMS) :], strict=True):
        with column:
            bench = controls.edit(bench, rare=False, prefix=COMPARE, only=(name,))
    _names(below, setup, bench)
    with presets:  # last, because it marks what is chosen
        chosen = _presets(setup, bench)
    with st.container():
        if chosen:
            _about(chosen)
    return bench


def _presets(setup: Setup, bench: Compare) -> Preset | None:
    """A button each; returns the one whose settings these are."""
    chosen = next((preset for preset in PRESETS.values() if preset.is_set(setup, bench)), None)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for name, preset in PRESETS.items():
            st.button(
                preset.title,
                on_click=_take,
                args=(preset, bench),
                key=f"{COMPARE}preset.{name}",
                icon=":material/check:" if preset is chosen else None,
                disabled=preset is chosen,
            )
    return chosen


def _take(preset: Preset, bench: Compare) -> None:
    session.use(preset.data, preset.flow, preset.train)
    session.show_bench(preset.bench)


def _about(preset: Preset) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(preset.about)
        if preset.away:
            other = PRESETS[preset.away]
            st.button(
                f"Go to: {other.title}", on_click=_take, args=(other, None), key=f"{COMPARE}away", type="tertiary"
            )


def _names(places: list, setup: Setup, bench: Compare) -> None:
    """What stands in each place, above its button."""
    found = iter(contenders(setup, bench))
    for place, name in zip(places, ARMS, strict=True):
        with place:
            if getattr(bench, name) not in bench.arms:
                st.caption("No flow")
                continue
            one = next(found)
            st.caption(f"**{one.label}**  \nParameters: {one.size}")
