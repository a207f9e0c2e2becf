"""Widgets from settings: one field of a configuration, one widget. Returns configurations, and keeps nothing."""

import dataclasses
import math
from collections.abc import Collection
from typing import Any

import streamlit as st

from app.setup import Setup, name_of
from resflow_core.datasets import DATASETS
from resflow_core.settings import Setting, settings_of

# What most people never change stands in a popover.
RARE = frozenset({"hidden_layers", "actnorm", "warmup", "clip"})
NAMES = {
    "lipswish": "LipSwish",
    "elu": "ELU",
    "exact": "Exact",
    "truncated": "Truncated (biased)",
    "roulette": "Russian roulette (unbiased)",
}


def sidebar(setup: Setup) -> Setup:
    """Draw all settings, and return them as they now stand."""
    with st.sidebar:
        st.markdown("##### Data")
        setup = edit(setup)
        st.markdown("##### Flow &nbsp;:gray[:small[a change builds a new one]]")
        flow = edit(setup.flow, without=RARE)
        with st.popover("More about the flow", width="stretch"):
            flow = edit(flow, only=RARE)
        st.markdown("##### Training &nbsp;:gray[:small[changes live]]")
        train = edit(setup.train, without=RARE)
        with st.popover("More about training", width="stretch"):
            train = edit(train, only=RARE)
    return dataclasses.replace(setup, flow=flow, train=train)


def edit(config: Any, *, only: Collection[str] | None = None, without: Collection[str] = (), prefix: str = "") -> Any:
    """A widget for each setting of `config`, and `config` as they now stand."""
    changes = {}
    for name, (field, limits) in settings_of(config).items():
        if name in without or (only is not None and name not in only):
            continue
        value, key = getattr(config, name), prefix + name
        if limits.is_variant:
            chosen = _choice(key, limits, name_of(value, limits))
            variant = value if isinstance(value, limits.choices[chosen]) else limits.choices[chosen]()
            changes[name] = edit(variant, prefix=f"{key}.")
        elif limits.choices is not None:
            changes[name] = _choice(key, limits, value)
        elif field.type is bool:
            changes[name] = st.toggle(limits.label, value, key=key, help=limits.help)
        else:
            changes[name] = _number(key, limits, value, field.type)
    return dataclasses.replace(config, **changes)


def _choice(key: str, limits: Setting, value: str) -> str:
    options = list(limits.choices)
    return st.selectbox(
        limits.label, options, options.index(value), key=key, help=limits.help, format_func=title, filter_mode=None
    )


def title(name: str) -> str:
    """How a registry's name is written for people."""
    if name in DATASETS:
        return DATASETS[name].title
    return NAMES.get(name, name.capitalize())


def _number(key: str, limits: Setting, value: float, kind: type) -> float:
    ladder = rungs(limits, kind)
    if ladder is None:
        return st.number_input(limits.label, kind(limits.low), kind(limits.high), value, key=key, help=limits.help)
    options = sorted({*ladder, value})
    return st.select_slider(limits.label, options, value, key=key, help=limits.help, format_func=lambda v: f"{v:g}")


def rungs(limits: Setting, kind: type) -> list[float] | None:
    """Sensible values between the limits: every whole number where they are few, powers of two or 1-2-5 where they
    span decades, tenths and nines within (0, 1). None where there is no such ladder, as for a seed."""
    low, high = limits.low, limits.high
    if kind is int and high - low <= 50:
        return list(range(low, high + 1))
    if high > 1e6:
        return None
    if low > 0 and high < 1 and high / low < 100:
        values = [*(i / 10 for i in range(1, 10)), 0.05, 0.95, 0.97, 0.98, 0.99, 0.995]
    elif kind is int:
        values = [0, *(2**i for i in range(int(math.log2(high)) + 1))]
    else:
        values = [float(f"{m}e{e}") for e in range(-6, 7) for m in (1, 2, 5)]
    return sorted(kind(v) for v in {*values, low, high} if low <= v <= high)
