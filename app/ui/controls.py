"""Widgets from settings: one field of a configuration, one widget. Returns configurations, and keeps nothing."""

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import session
from app.link import parse
from app.setup import Setup, as_text
from app.text import file_name, quoted
from app.ui import data_choice, heading, presets, uploads
from resflow_core.settings import Setting, name_of, refusal, settings_of

IN_SIGHT = {"flow": ("blocks", "budget"), "train": ("log_det",)}
"""The settings that one sees first; all others are a click away."""


def settings(setup: Setup, place: DeltaGenerator) -> Setup:
    """Draw all settings, and return them as they now stand. Where nothing is offered, nothing at all is drawn, and
    Streamlit shows no sidebar. Where only some are, all of them are in sight."""
    with place:
        if session.offered("data"):
            heading.section("Data")
            setup = data_choice.choose(setup)
        if session.focused():
            return _rest(setup, {})
        flow = edit(setup.flow, rare=False, only=IN_SIGHT["flow"])
        train = edit(setup.train, rare=False, only=IN_SIGHT["train"])
        with st.expander("All settings", icon=":material/tune:", key="all_settings"):
            return _rest(dataclasses.replace(setup, flow=flow, train=train), IN_SIGHT)


def _rest(setup: Setup, drawn_above: Mapping[str, Collection[str]]) -> Setup:
    """All settings but the data and those that are drawn already."""
    everything = not session.focused()
    usual = {
        name: settings_of(config).keys() - set(drawn_above.get(name, ()))
        for name, config in {"flow": setup.flow, "train": setup.train}.items()
    }
    ready_made = None
    if [*drawn(setup.flow), *drawn(setup, rare=True)]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            heading.section("Flow &nbsp;:gray[:small[a change begins anew]]", width="content")
            ready_made = st.popover("Presets", type="tertiary") if everything else None
    flow = edit(setup.flow, rare=False, only=usual["flow"])
    if [*drawn(flow, rare=True), *drawn(setup, rare=True)]:
        with st.container(horizontal=True, gap="small"):
            flow = more("More", flow)
            setup = more("Seed", setup)
            if everything:
                with st.popover("File", width="stretch"):
                    _flow_file(setup)
    if drawn(setup.train):
        heading.section("Training &nbsp;:gray[:small[changes live]]")
    train = more("More", edit(setup.train, rare=False, only=usual["train"]))
    setup = dataclasses.replace(setup, flow=flow, train=train)
    if ready_made:
        with ready_made:  # last, because it marks what is chosen
            presets.choose(setup)
    return setup


def more(title: str, config: Any) -> Any:
    """A popover with the rare settings of `config`, where there are any, and `config` as it now stands."""
    if not drawn(config, rare=True):
        return config
    with st.popover(title, width="stretch"):
        return edit(config, rare=True)


def row(widths: Mapping[str, float], prefix: str, more: Collection[str] = ()) -> dict[str, Any]:
    """A row of columns for the settings of a bench that are offered, by their names, with their shares of the width;
    "more" is one for others, where any of them is offered. What hidden ones leave, up to a half, stays free."""
    shown = {
        name: width
        for name, width in widths.items()
        if any([session.offered(prefix + one) for one in (more if name == "more" else (name,))])
    }
    if not shown:
        return {}
    rest = min(sum(widths.values()) - sum(shown.values()), sum(shown.values()))
    columns = st.columns([*shown.values(), *[rest] * (rest > 0)], gap="medium", vertical_alignment="bottom")
    return dict(zip(shown, columns, strict=False))


def beside(widths: tuple[float, float], filled: bool) -> tuple[Any, Any]:
    """Two columns; where the first would not be `filled`, what is left of it stands above the second."""
    return tuple(st.columns(widths, gap="medium")) if filled else (st.container(), st.container())


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
        f"{file_name(name)}.safetensors",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
        key="save_flow",
    )
    uploads.flow("Open a flow", "open_flow", session.open_flow)
    if setup.start:
        st.caption(
            f"This run began with {quoted(setup.start.file.name)}. Reset goes back to it. If you change a setting of "
            "the flow, a new flow begins."
        )


def edit(
    config: Any,
    *,
    rare: bool,
    prefix: str = "",
    within_rare: bool = False,
    only: Collection[str] | None = None,
    keys: str | None = None,
) -> Any:
    """A widget for each setting of `config` that is `rare` or not (or one of `only`) and that the page offers, and
    `config` as it now stands. What belongs to a rare choice is rare. Names in links begin with `prefix`, and so do the
    widgets' keys, unless they begin with `keys`."""
    keys = prefix if keys is None else keys
    changes = {}
    for name, (field, limits) in settings_of(config).items():
        if only is not None and name not in only:
            continue
        value, is_rare = getattr(config, name), limits.rare or within_rare
        if is_rare == rare and session.offered(prefix + name):
            value = _widget(keys + name, field, limits, value)
        if limits.is_variant:
            within = {"prefix": f"{prefix}{name}.", "keys": f"{keys}{name}."}
            value = edit(value, rare=rare, within_rare=is_rare, **within)
        changes[name] = value
    return dataclasses.replace(config, **changes)


def drawn(
    config: Any,
    *,
    rare: bool | None = None,
    prefix: str = "",
    within_rare: bool = False,
    only: Collection[str] | None = None,
) -> list[str]:
    """The names of the settings that `edit` draws widgets of, as the configuration is; by default the usual and the
    rare ones."""
    found = []
    for name, (_, limits) in settings_of(config).items():
        if only is not None and name not in only:
            continue
        is_rare = limits.rare or within_rare
        if rare in (None, is_rare) and session.offered(prefix + name):
            found.append(prefix + name)
        if limits.is_variant:
            found += drawn(getattr(config, name), rare=rare, prefix=f"{prefix}{name}.", within_rare=is_rare)
    return found


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
