"""What is compared: the arms, and how long and how often each is trained."""

import streamlit as st

from app import session
from app.features.compare.arms import contenders
from app.features.compare.gallery import take
from app.features.compare.presets import PRESETS, Preset, chosen
from app.features.compare.settings import COMPARE, Compare, Filled
from app.setup import Setup
from app.ui import controls

ARMS = ("a", "b", "c", "d")


def edit(setup: Setup) -> Compare:
    """Draw the arms in a row, with what is chosen for all of them, and return it as it now stands."""
    bench = session.bench(Compare)
    edited = {name: bool(controls.drawn(bench, prefix=COMPARE, only=(name,))) for name in (*ARMS, "seeds", "steps")}
    # An arm that cannot be edited is told all the same, if there is one.
    filled = [name for name in ARMS if edited[name] or isinstance(getattr(bench, name), Filled)]
    length = [name for name in ("seeds", "steps") if edited[name]]
    names = _names(setup, bench)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="compare.arms"):
        for name in filled:
            if not edited[name]:
                st.markdown(f"**{names[name]}**", width="content")
                continue
            with st.popover(names[name], icon=":material/tune:", key=f"{COMPARE}arm.{name}"):
                bench = controls.edit(bench, rare=False, prefix=COMPARE, only=(name,))
                bench = controls.edit(bench, rare=True, prefix=COMPARE, only=(name,))
        if length:
            said = f"{bench.seeds} seed{'s' * (bench.seeds > 1)}, {bench.steps:,} steps"
            with st.popover(said, icon=":material/timer:", key=f"{COMPARE}length"):
                bench = controls.edit(bench, rare=False, prefix=COMPARE, only=tuple(length))
    with st.container():
        if preset := chosen(setup, bench):
            _about(preset)
    return bench


def _about(preset: Preset) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(f"**{preset.title}** {preset.about}", width="content")
        if preset.away and not session.focused():
            other = PRESETS[preset.away]
            st.button(f"Go to: {other.title}", on_click=take, args=(other,), key=f"{COMPARE}away", type="tertiary")


def _names(setup: Setup, bench: Compare) -> dict[str, str]:
    """What stands in each place."""
    found = iter(contenders(setup, bench))
    names = {}
    for name in ARMS:
        if getattr(bench, name) in bench.arms:
            one = next(found)
            names[name] = f"{name.upper()}  {one.label} · {one.size} parameters"
        else:
            names[name] = f"{name.upper()}  no flow"
    return names
