"""The activation screen in a real browser: curves that are bent, a formula that is trained with, and what follows."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from app.features.activations.evidence import STEPS
from tests.browser.conftest import SMALL
from tests.browser.test_lipschitz import link, sees
from tests.served import wait_for

OWN = "tanh(z) + sin(3*z)/6"
STORED = 2
"""Charts that the curves open with."""
VALUE, SLOPE = STORED, STORED + 1


@pytest.fixture
def bench(visit):
    """Open a view of the bench: `bench(view, more)`."""

    def enter(view: str, more: str = "", **context):
        query = f"{SMALL}&data=moons&activations.view={view}{more}"
        return visit(query, path="/activations", picture=False, **context)

    return enter


def drawn(visitor, panes):
    """How many times a pane was drawn, once so many are."""
    root = visitor.page.locator(".planes").last
    return int(wait_for(lambda: root.count() and root.locator("figure").count() == panes
                        and int(root.get_attribute("data-drawn") or 0) >= panes
                        and root.get_attribute("data-drawn"), f"{panes} panes; {visitor.problems}"))  # fmt: skip


def trace(visitor, pane, name):
    """The points of a curve by its name, (2, n); None where there is none."""
    return (
        visitor.page.locator(".planes-plot")
        .nth(pane)
        .evaluate(
            f"box => (t => t && [[...t.x], [...t.y]])(box.surface?.picture?.layers.find(t => t.name === {name!r}))"
        )
    )


def quiet(visitor):
    """No complaint but Streamlit's own two searches for its server below the page's path."""
    return [p for p in visitor.problems if "404" not in p] == [] and len(visitor.problems) <= 2


def column(visitor, k):
    """The numbers that begin the cells of a table's column, which is folded."""
    cells = visitor.page.locator(f"table tbody tr td:nth-child({k})").all_text_contents()
    return [float(cell.split(" (")[0]) for cell in cells if cell[:1].isdigit()]


@pytest.mark.slow
def test_beta_bends_the_curves_and_a_formula_is_trained_with(bench):
    visitor = bench("curves", "&activations.shown=elu,sine")
    drawn(visitor, 3)
    z, values = (np.array(c) for c in wait_for(lambda: trace(visitor, VALUE, "Sine"), "the sine"))
    np.testing.assert_allclose(values, np.sin(z), atol=1e-5)
    slider = visitor.page.get_by_role("slider", name="Scale β")
    slider.focus()
    for _ in range(4):
        visitor.page.keyboard.press("ArrowRight")
    beta = float(wait_for(lambda: link(visitor).get("activations.beta") == "1.2" and "1.2", "the slider's value"))

    def bent():
        return np.allclose(trace(visitor, VALUE, "Sine")[1], np.sin(beta * z) / beta, atol=1e-5) and np.allclose(
            trace(visitor, SLOPE, "Sine")[1], np.cos(beta * z), atol=1e-5
        )

    wait_for(bent, "narrower waves")

    # A formula that is none is refused; a good one is drawn, certified and used.
    visitor.wait_for_script()  # what is typed while the page is drawn anew is lost
    field = visitor.page.get_by_role("textbox", name="Your own formula in z")
    field.fill("tanh(z) + z^2")
    field.press("Enter")
    sees(visitor, re.compile("no bound of its slope holds"))
    assert trace(visitor, VALUE, "your own") is None
    visitor.wait_for_script()
    field.fill(OWN)
    field.press("Enter")
    wait_for(lambda: trace(visitor, SLOPE, "your own"), "the curve of the formula")
    assert max(trace(visitor, SLOPE, "your own")[1]) == pytest.approx(1, abs=1e-3)
    wait_for(lambda: link(visitor).get("activations.formula") == OWN, "the link")
    visitor.choose("Train with", OWN)
    use = visitor.page.get_by_role("button", name="Use it")
    expect(use).to_be_enabled()
    use.click()
    wait_for(lambda: link(visitor).get("activation") == f"={OWN}", "the formula in the link")
    expect(use).to_be_disabled()

    # It trains: the gap to the truth falls.
    visitor.go("Explore")
    visitor.all_settings()
    expect(visitor.page.get_by_role("combobox", name="Activation", exact=True)).to_have_value(OWN)
    numbers = "document.querySelector('[data-readout=gap]')"
    visitor.wait(f"root.dataset.step !== '' && {numbers}", "a picture and the numbers")

    def gap():
        found = re.search(r"\d+\.\d+", visitor.page.locator("[data-readout=gap]").inner_text())
        return found and float(found[0])

    before = wait_for(gap, "the gap")
    visitor.press("Play")
    wait_for(lambda: visitor.step > 50 and (now := gap()) and now < 0.7 * before, "a better fit")
    visitor.press("Pause")
    visitor.go("Activation functions", "How it works")
    visitor.page.get_by_text("Inside the flow").click()
    sees(visitor, re.compile("units are saturated"))
    drawn(visitor, 5)
    assert wait_for(lambda: trace(visitor, 1, "layer 2"), "the shares")[0] == [1, 2, 3, 4]
    assert quiet(visitor)


@pytest.mark.slow
def test_consequences_of_one_seed_are_played(bench):
    visitor = bench("consequences", "&activations.shown=elu,sine&activations.seeds=1")
    sees(visitor, "These flows are not trained yet")
    assert not visitor.page.locator(".planes").count()
    visitor.press("1 step")
    drawn(visitor, 5)

    def agreed():
        """The rows of the table, once both curves, which may be drawn before or after it, end with them."""
        rows, curves = column(visitor, 2), [trace(visitor, -2, name) for name in ("ELU", "Sine")]
        ends = len(rows) == 2 and all(curves) and [10 ** curve[1][-1] for curve in curves]  # an axis of logarithms
        return ends and rows == pytest.approx(ends, rel=0.01) and rows

    before = wait_for(agreed, "two rows, and curves that end with them")
    visitor.press("Play")
    wait_for(
        lambda: len(now := column(visitor, 2)) == 2 and all(a < 0.8 * b for a, b in zip(now, before, strict=True)),
        "better fits",
    )
    sees(visitor, re.compile("Too few seeds to decide"))
    # It plays to its end: a fast machine may be there already, and then offers no Pause.
    sees(visitor, re.compile(f"{STEPS:,} of {STEPS:,} steps of every flow: done"))

    def both_axes():  # one chart is drawn after the other
        steps, seconds = trace(visitor, -2, "Sine")[0], trace(visitor, -1, "Sine")[0]
        return len(steps) == len(seconds) > 1 and (steps, seconds)

    steps, seconds = wait_for(both_axes, "both charts at the same measurement")
    assert steps == sorted(steps) and seconds == sorted(seconds) and 0 < seconds[-1] < 600
    assert quiet(visitor)
