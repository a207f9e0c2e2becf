"""The moving picture of the home page: a stored run, replayed in the browser."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from app import evidence
from app.components.component import component
from app.features.home.evidence import CUT, EXACT, NAME

__all__ = ["scene", "sentence", "show"]

_HERE = Path(__file__).parent

_replay = component(
    "resflow_replay",
    "home/replay.js",
    html=(_HERE / "replay.html").read_text(encoding="utf-8"),
    css=(_HERE / "replay.css").read_text(encoding="utf-8"),
)


@cache
def scene() -> dict[str, Any]:
    """What the component draws, as JSON: of the first seed of each of the two flows its densities, losses in nats and
    masses after each of `steps`."""
    told = evidence.stored(NAME)
    found = told.found
    kinds = {name: _kind(found[name]) for name in (EXACT, CUT)}
    exact, cut = kinds[EXACT], kinds[CUT]
    terms, entropy = told.settings["terms"], found["entropy"]
    return {
        "steps": found["steps"],
        "window": found["window"],
        "entropy": entropy,
        "terms": terms,
        **kinds,
        "alt": "The density of a residual flow that learns a checkerboard: one blob becomes the squares.",
        "lossAlt": f"Held-out loss against steps. With the exact log det it ends at {exact['true'][-1]:.2f} nats, "
        f"above the entropy of {entropy:.2f}. Trained with {terms} terms of the series, the flow reports "
        f"{cut['reported'][-1]:.2f} nats, and its true loss is {cut['true'][-1]:.2f}.",
    }


def _kind(found: dict[str, Any]) -> dict[str, Any]:
    """Of one of the flows."""
    reported = np.subtract(found["true"], found["bias"]).tolist()
    return {"density": found["density"], "true": found["true"], "reported": reported, "mass": found["mass"]}


def sentence() -> str:
    """What the switch shows, of all seeds."""
    told = evidence.stored(NAME)
    found, ends = told.found, told.found[CUT]["ends"]
    true, bias, mass = (np.array(ends[name]) for name in ("true", "bias", "mass"))
    reported = true - bias
    return (
        f"Trained with only {told.settings['terms']} terms of a series, the same flow reports a loss of "
        f"{reported.mean():.2f} nats. No density can have less than {found['entropy']:.2f}, and the true loss of this "
        f"flow is {true.mean():.2f}. The density that it believes in has mass {mass.mean():.1f} instead of 1 (means of "
        f"{len(told.seeds)} seeds)."
    )


def show(*, key: str) -> None:
    """Mount the picture; it moves by itself."""
    _replay(data=scene(), key=key)
