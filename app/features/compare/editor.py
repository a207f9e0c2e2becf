"""What is compared: ready-made questions, the arms, and how long and how often each is trained."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app import session
from app.features.compare.arms import contenders
from app.features.compare.presets import PRESETS, Preset
from app.features.compare.settings import COMPARE, Baseline, Compare, Residual
from app.setup import Setup
from app.ui import controls
from app.ui.fragments import button

ARMS = ("a", "b", "c", "d")


def edit(setup: Setup) -> Compare:
    """Draw all of it, and return it as it now stands."""
    bench = session.bench(Compare)
    presets = st.container()
    edited = {name: bool(controls.drawn(bench, prefix=COMPARE, only=(name,))) for name in (*ARMS, "seeds", "steps")}
    # An arm that cannot be edited is told all the same, if there is one.
    filled = [name for name in edited if edited[name] or isinstance(getattr(bench, name), Residual | Baseline)]
    columns = dict(zip(filled, st.columns(len(filled) or 1, gap="small", vertical_alignment="bottom"), strict=False))
    told = {name: columns[name].container() for name in ARMS if name in columns}
    for name, column in columns.items():
        with column:
            if name not in ARMS:
                bench = controls.edit(bench, rare=False, prefix=COMPARE, only=(name,))
            elif edited[name]:
                with st.popover(f"Arm {name.upper()}", width="stretch", icon=":material/tune:"):
                    bench = controls.edit(bench, rare=False, prefix=COMPARE, only=(name,))
                    bench = controls.edit(bench, rare=True, prefix=COMPARE, only=(name,))
    _names(told, setup, bench)
    with presets:  # last, because it marks what is chosen
        chosen = _presets(setup, bench)
    with st.container():
        if chosen:
            _about(chosen)
    return bench


def _presets(setup: Setup, bench: Compare) -> Preset | None:
    """A button each, as they replace data, flow and training only where all of these can be changed; returns the one
    whose settings these are."""
    chosen = next((preset for preset in PRESETS.values() if preset.is_set(setup, bench)), None)
    if session.focused():
        return chosen
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for name, preset in PRESETS.items():
            button(
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
        if preset.away and not session.focused():
            other = PRESETS[preset.away]
            button(f"Go to: {other.title}", on_click=_take, args=(other, None), key=f"{COMPARE}away", type="tertiary")


def _names(places: Mapping[str, Any], setup: Setup, bench: Compare) -> None:
    """What stands in each place, above its button."""
    found = iter(contenders(setup, bench))
    for name, place in places.items():
        with place:
            if getattr(bench, name) not in bench.arms:
                st.caption("No flow")
                continue
            one = next(found)
            st.caption(f"**{one.label}**  \nParameters: {one.size}")
