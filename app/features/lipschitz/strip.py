"""The strip over s: guaranteed, still one-to-one, folded, in the places that these scales have on the slider below.
Pure."""

import math
from collections.abc import Sequence
from html import escape

import numpy as np

# Where the slider's thumb is at its ends, in percent of the strip's width.
WORDS = {"guaranteed": "guaranteed", "open": "still one-to-one", "folded": "folded"}
LEAST = 9.0
"""Percent of the width that a word needs."""


def place(scale: float, scales: Sequence[float]) -> float:
    """Where `scale` is on a slider with these stops, in percent; between two stops by their logarithms."""
    share = np.interp(math.log(scale), np.log(scales), np.linspace(0, 100, len(scales)))
    return round(float(share), 2)


def strip(scales: Sequence[float], scale: float, guaranteed: float, folds_at: float) -> str:
    """HTML of the strip; `folds_at` is infinite where no fold was seen."""
    first = place(guaranteed, scales)
    second = max(first, place(folds_at, scales)) if math.isfinite(folds_at) else 100.0
    ends = {"guaranteed": (0.0, first), "open": (first, second), "folded": (second, 100.0)}
    bands = "".join(
        f'<span class="strip-{name}" style="left:{low}%;width:{round(high - low, 2)}%">'
        f"{WORDS[name] if high - low >= LEAST else ''}</span>"
        for name, (low, high) in ends.items()
        if high > low
    )
    fold = f"s* = {folds_at:.2f}" if math.isfinite(folds_at) else ""
    marks = f'<b style="left:{first}%">1/L = {guaranteed:.2f}&nbsp;</b>'
    marks += f'<b class="strip-after" style="left:{second}%">&nbsp;{fold}</b>' if fold else ""
    said = said_of(scale, guaranteed, folds_at)
    return (
        f'<div class="strip" role="img" aria-label="{escape(said)}"><div class="strip-bands">{bands}'
        f'<i style="left:{place(scale, scales)}%"></i></div><div class="strip-marks">{marks}</div></div>'
    )


def said_of(scale: float, guaranteed: float, folds_at: float) -> str:
    """The strip in words."""
    fold = f"folded from {folds_at:.3g} on" if math.isfinite(folds_at) else "no fold was seen"
    return (
        f"A strip over the scale s: guaranteed to be one-to-one up to {guaranteed:.3g}, then still one-to-one, {fold}. "
        f"Here s = {scale:g}."
    )
