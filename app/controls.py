"""Widgets from settings: one field of a configuration, one widget. Returns configurations, and keeps nothing."""

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any

import streamlit as st

from app import data_choice, presets, session, uploads
from app.link import parse
from app.setup import Setup, as_text
from app.text import plain
from resflow_core.settings import Setting, name_of, refusal, settings_of


def sidebar(setup: Setup) -> Setup:
    """Draw all settings, and return them as they now stand."""
    with st.sidebar:
        st.markdown("##### Data")
        setup = data_choice.choose(setup)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown("##### Flow &nbsp;:gray[:small[builds anew]]", width="content")
            ready_made = st.popover("Presets", type="tertiary")
        flow = edit(setup.flow, rare=False)
        with st.container(horizontal=True, gap="small"):
            with st.popover("More", width="stretch"):
                flow = edit(flow, rare=True)
            with st.popover("Seed", width="stretch"):
                setup = edit(setup, rare=True)
            with st.popover("File", width="stretch"):
                _flow_file(setup)
        st.markdown("##### Training &nbsp;:gray[:small[changes live]]")
        train = edit(setup.train, rare=False)
        with st.popover("More", width="stretch"):
            train = edit(train, rare=True)
        setup = dataclasses.replace(setup, flow=flow, train=train)
        with ready_made:  # last, because it marks what is chosen
            presets.choose(setup)
    return setup


def view(kind: type, views: Mapping[str, Any], prefix: str) -> str:
    """The views of a bench to choose from, and the one that is chosen."""
    if not session.offered(f"{prefix}view"):
        return session.bench(kind).view
    return st.segmented_control(
        "View",
        list(views),
        default=session.bench(kind).view,
        format_func=lambda name: views[name].title,
        key=f"{prefix}view",
        label_visibility="collapsed",
        required=True,
    )


def _flow_file(setup: Setup) -> None:
    name = setup.own.choice.name if setup.own else setup.data
    st.download_button(
        "Save flow",
        session.flow_saver(),
        f"{name}.safetensors",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
        key="save_flow",
    )
    uploads.flow("Open a flow", "open_flow", session.open_flow)
    if setup.start:
        st.caption(
            f"Began with `{plain(setup.start.file.name)}`. Reset goes back to it; another setting leaves it behind."
        )


def edit(
    config: Any, *, rare: bool, prefix: str = "", within_rare: bool = False, only: Collection[str] | None = None
) -> Any:
    """A widget for each setting of `config` that is `rare` or not (or one of `only`), and `config` as it now stands.
    What belongs to a rare choice is rare."""
    changes = {}
    for name, (field, limits) in settings_of(config).items():
        if only is not None and name not in only:
            continue
        value, key, is_rare = getattr(config, name), prefix + name, limits.rare or within_rare
        if is_rare == rare and session.offered(key):
            value = _widget(key, field, limits, value)
        if limits.is_variant:
            value = edit(value, rare=rare, prefix=f"{key}.", within_rare=is_rare)
        changes[name] = value
    return dataclasses.replace(config, **changes)


def _widget(key: str, field: dataclasses.Field, limits: Setting, value: Any) -> Any:
    if limits.choices is not None:
        return _choice(key, limits, value)
    if field.type is bool:
        return st.toggle(limits.label, value, key=key, help=limits.help)
    if field.type is tuple:
        return _numbers(key, limits, value)
    return _number(key, field, limits, value)


def _choice(key: str, limits: Setting, value: Any) -> Any:
    options, chosen = list(limits.choices), name_of(value, limits)
    options += [chosen] * limits.is_written(value)
    name = st.selectbox(
        limits.label,
        options,
        options.index(chosen),
        key=key,
        help=limits.help,
        format_func=limits.shown,
        filter_mode=None,
    )
    if not limits.is_variant:
        return name
    return value if name == chosen else limits.choices[name]()


def _numbers(key: str, limits: Setting, value: tuple) -> tuple:
    """Numbers in a row, typed; `value` until they can be used."""
    typed = parse(st.text_input(limits.label, as_text(value), key=key, help=limits.help), tuple, limits)
    if problem := refusal(typed, tuple, limits):
        st.error(f"{problem[0].upper()}{problem[1:]} It stays at {as_text(value)}.")
        return value
    return typed


def _number(key: str, field: dataclasses.Field, limits: Setting, value: float) -> float:
    ladder = rungs(field, limits)
    if ladder is None:
        low, high = map(field.type, (limits.low, limits.high))
        return st.number_input(limits.label, low, high, value, key=key, help=limits.help)
    options = sorted({*ladder, value})
    return st.select_slider(limits.label, options, value, key=key, help=limits.help, format_func=lambda v: f"{v:g}")


def rungs(field: dataclasses.Field, limits: Setting) -> list[float] | None:
    """The default and sensible values between the limits: every whole number where they are few, powers of two or
    1-2-5 where they span decades, tenths and nines below 1. None where there is no such ladder, as for a seed."""
    kind, low, high = field.type, limits.low, limits.high
    if kind is int and high - low <= 50:
        return list(range(low, high + 1))
    if high > 1e6:
        return None
    if 0.9 < high < 1:
        values = [*(i / 10 for i in range(1, 10)), 0.05, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999]
    elif kind is int:
        values = [0, *(2**i for i in range(int(math.log2(high)) + 1))]
    else:
        values = [float(f"{m}e{e}") for e in range(-6, 7) for m in (1, 2, 5)]
    return sorted(kind(v) for v in {*values, low, high, field.default} if low <= v <= high)
