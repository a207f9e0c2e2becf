"""Each screen and each view opens by its default address, and shows a number that is known: of the answer that is
stored for it, or found in another way."""

import json
import math
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import examples, screens
from app.estimates.settings import Bench
from app.evidence import stored
from app.features.lipschitz.settings import Lipschitz
from app.lessons.shelf import shelf
from app.link import BENCHES
from app.setup import Setup, parts
from app.ui.glossary import entries
from resflow_core.api import flow_file
from resflow_core.data import DATASETS
from resflow_core.measure import saturation
from tests.app.pages import MAIN, MINUS, run

NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
LONGEST = 500
"""Texts of components that are longer are packed arrays."""
FIRST = "first"
"""The view that a screen opens with."""


def percent(numbers):
    return 100 * np.mean(numbers)


def ended(name, label, curve):
    """The mean of the last value of a curve, over the seeds of a stored answer."""
    return np.mean([seed["curves"][curve][-1] for seed in stored(name).found[label]])


def entropy(data, digits=2):
    return f"{DATASETS[data].truth.entropy:.{digits}f}"


def of_home():
    true, bias, mass = (np.mean(stored("home").found["cut"]["ends"][part]) for part in ("true", "bias", "mass"))
    return f"{true - bias:.2f}", f"{true:.2f}", f"{mass:.1f}", entropy("checkerboard")


def of_saturation():
    elu, lipswish = (stored("activations-saturation").found[name] for name in ("elu", "lipswish"))
    return f"{percent([one['saturated'] for one in elu]):.0f}", f"{percent([one['saturated'] for one in lipswish]):.1f}"


def of_units():
    path = Path(examples.__file__).with_name(examples.NAME)
    found = saturation(flow_file.from_bytes(path.read_bytes()), DATASETS["checkerboard"].held_out()[:1_000])
    return (f"{100 * found.overall:.1f}",)


def of_compared():
    nll, bias = (ended("compare-believes", "i-ResNet, 5 terms", f"held_{part}") for part in ("nll", "bias"))
    return f"{nll:.2f}", f"{nll - bias:.2f}", entropy("8gaussians")


def of_costs():
    """The points of accuracy that a flow loses as it learns the density too."""
    without, beside = (ended("joint-costs", f"Residual flow, λ = {weight}", "held_accuracy") for weight in (0, 1))
    return (f"{100 * (without - beside):.1f}",)


def of_budgets():
    kl = {budget: ended("lipschitz-budgets", f"L = {budget}", "held_kl") for budget in (0.3, 0.6, 0.99)}
    return f"{kl[0.99]:.3f}", f"{kl[0.3] - kl[0.99]:.3f}", f"{kl[0.6] - kl[0.99]:.3f}"


def of_folds():
    flow = stored("lipschitz-folds").found["flows"][0]
    return f"{flow['folds_at'][flow['block']]:.2f}", f"{flow['mass'][0]:.2f}"


def of_memory():
    kept = stored("dimensions-memory").found["bytes"]["64"]
    return f"{kept['plain'] / 2**20:.1f}", f"{kept['in_forward'] / 2**20:.2f}"


def of_map():
    """The point (0.4, 0.6), stretched to (0.8, 0.6)."""
    density = math.exp(-(0.8**2 + 0.6**2) / 2) / math.tau
    return f"{density:.4f}", f"{2 * density:.3f}", f"{math.log(2):.3f}", f"{math.log(2 * density):.3f}"


def of_matrix():
    """det(I + A) = 2: the log det, and what two terms of its series leave of it."""
    a = np.array([[5, 1], [1, 5]]) / 12
    cut = np.trace(a) - np.trace(a @ a) / 2
    return f"{math.log(2):.6f}", f"{cut - math.log(2):.4f}"


def of_bench():
    """The largest p with which the variance is finite."""
    radius = max(abs(np.linalg.eigvals(Bench().array)))
    return (f"{1 - radius**2:.3f}",)


def of_paper():
    return (f"{np.mean([flow['kl'] for flow in stored('paper-likelihood').found['flows']]):.3f}",)


def mean_of(name, part, form="{:.0f}", scale=1.0):
    return (form.format(scale * np.mean(stored(name).found[part])),)


def budget():
    return (f"{Setup().flow.budget:g}",)


KNOWN = {
    ("home", FIRST): of_home,
    ("learn", FIRST): lambda: [str(lesson.minutes) for lesson in shelf().originals.values()],
    ("teach", FIRST): lambda: [str(lesson.minutes) for lesson in shelf().originals.values()],
    ("explore", FIRST): lambda: (entropy("checkerboard", digits=3),),
    ("paper", FIRST): of_paper,
    ("stretch", FIRST): of_map,
    ("glossary", FIRST): lambda: NUMBER.findall(" ".join(entry.text for entry in entries()).replace(MINUS, "-")),
    ("estimator", FIRST): of_matrix,
    ("estimator", "settings"): of_bench,
    ("estimator", "plane"): partial(mean_of, "estimator-plane", "shares", scale=100),
    ("lipschitz", FIRST): of_folds,
    ("lipschitz", "weights"): budget,
    ("lipschitz", "enforced"): budget,
    ("lipschitz", "budgets"): of_budgets,
    ("lipschitz", "norms"): lambda: (f"{np.linalg.norm(np.reshape(Lipschitz().matrix, (2, 2)), 2):.2f}",),
    ("activations", FIRST): of_saturation,
    ("activations", "inside"): of_units,
    ("activations", "consequences"): of_saturation,
    ("compare", FIRST): of_compared,
    ("compare", "samples"): of_compared,
    ("compare", "spectra"): of_compared,
    ("compare", "layers"): of_compared,
    ("joint", FIRST): lambda: (f"{100 * ended('joint-far', 'Residual flow', 'held_accuracy'):.0f}",),
    ("joint", "paper"): of_costs,
    ("dimensions", FIRST): of_memory,
    ("dimensions", "scaling"): partial(mean_of, "dimensions-crossing", "stray", "{:.1f}"),
    ("dimensions", "memory"): of_memory,
}
"""The numbers, as they are printed, that a view of a screen shows."""
PREFIXES = {prefix.rstrip(".").replace("bench", "estimator"): prefix for prefix in BENCHES}


def test_every_screen_and_every_view_is_opened():
    views = {(screen.folder, FIRST) for screen in screens.SCREENS.values()}
    for screen, prefix in PREFIXES.items():
        bench = BENCHES[prefix]()
        choices = next((limits.choices for part, limits, _ in parts(bench) if part.name == "view"), ())
        views |= {(screen, view) for view in choices if view != bench.view}
    assert views == {*KNOWN}


@pytest.mark.parametrize(
    ("screen", "view"),
    [pytest.param(*case, marks=[pytest.mark.thorough] if case[1] != FIRST else []) for case in KNOWN],
)
def test_a_screen_opens_and_shows_what_is_known(screen, view, local_engine):
    page = AppTest.from_file(MAIN, default_timeout=600)
    if view != FIRST:
        page.query_params[f"{PREFIXES[screen]}view"] = view
    page = run(page.switch_page(f"features/{screen}/{screen}.py"))
    found = set(NUMBER.findall(" ".join(texts(page)).replace(MINUS, "-")))
    assert not [number for number in KNOWN[screen, view]() if number not in found]


def texts(page):
    """All that can be read on a page."""
    for element in page.main:
        if element.type == "bidi_component":
            yield from within(json.loads(element.proto.json or "null"))
        elif element.type == "button":
            yield element.label
        elif isinstance(value := getattr(element, "value", None), str):
            yield value


def within(data):
    """The texts of a component."""
    if isinstance(data, dict | list):
        for part in data.values() if isinstance(data, dict) else data:
            yield from within(part)
    elif isinstance(data, str) and len(data) < LONGEST:
        yield data
