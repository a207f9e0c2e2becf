"""The estimator's bench in a real browser: what is marked lights up, what is drawn adds up, and nothing complains."""

import re
from fractions import Fraction

import numpy as np
import pytest
from playwright.sync_api import expect

from app.features.estimator.example import EXAMPLE
from resflow_core.estimators.draws import draw_estimates
from tests.browser.conftest import SMALL, after_next_picture, box_at_rest, number
from tests.served import wait_for


@pytest.fixture
def bench(visit):
    """Open a view of the bench: `bench(view, more)`."""

    def enter(view: str, more: str = "", **context):
        return visit(f"{SMALL}&bench.view={view}{more}", path="/estimator", picture=False, **context)

    return enter


def spectrum(visitor):
    root = visitor.page.locator(".map-and-disc")
    wait_for(lambda: root.count() and root.get_attribute("data-drawn"), "the map and the disc")
    return root


def drag(visitor, canvas, start, end):
    """With the mouse, between two places in shares of the canvas's plot, until what it marks is drawn."""
    box = box_at_rest(canvas)
    side = box["width"] - 56
    places = [(box["x"] + 46 + x * side, box["y"] + 6 + y * side) for x, y in (start, end)]
    visitor.page.mouse.move(*places[0])
    visitor.page.mouse.down()
    visitor.page.mouse.move(*places[1], steps=8)
    visitor.page.mouse.up()
    after_next_picture(visitor.page)


def trained(visitor):
    """Train the flow a little, and let it rest: of an untrained one nothing is shown."""
    visitor.press("Choose data and settings")
    visitor.press("Train with my settings")
    root = spectrum(visitor)
    visitor.press("Pause")
    visitor.page.get_by_role("button", name="Play", exact=True).wait_for()

    def is_of_the_last_step():
        said = visitor.page.get_by_text(re.compile(r"^step [\d,]+")).first.inner_text()
        return re.search(rf"{re.match(r'step [0-9,]+', said)[0]}\b", root.inner_text())

    wait_for(is_of_the_last_step, "the last measurement")
    return root


def test_what_is_marked_lights_up_a_law_redraws_and_a_point_is_taken_to_the_bench(bench):
    visitor = bench("plane")
    trained(visitor)
    root = spectrum(visitor)
    assert root.get_attribute("data-lit") == "10000"
    place, disc = (visitor.page.locator(f"canvas[data-view={name}]") for name in ("map", "disc"))
    drag(visitor, place, (0.25, 0.25), (0.75, 0.5))
    lit = int(wait_for(lambda: (n := root.get_attribute("data-lit")) != "10000" and n, "a mark in the map"))
    assert lit == pytest.approx(50 * 25, rel=0.08)
    drag(visitor, disc, (0.02, 0.02), (0.98, 0.98))
    wait_for(lambda: root.get_attribute("data-lit") == "10000", "every eigenvalue lies in the disc")
    halves, said = [], "10000"
    for start, end in (((0.02, 0.02), (0.5, 0.98)), ((0.5, 0.02), (0.98, 0.98))):
        drag(visitor, disc, start, end)
        said = wait_for(lambda said=said: (n := root.get_attribute("data-lit")) != said and n, "a mark in the disc")
        halves.append(int(said))
    # A place is lit by any of its two eigenvalues, so one that has them on both sides is lit by either half.
    assert max(halves) < 10000 < sum(halves)

    # Another law redraws the map that is there.
    handle, before = root.element_handle(), int(root.get_attribute("data-drawn"))
    visitor.page.get_by_role("combobox", name="Law of N").click()
    visitor.page.get_by_role("option", name="Poisson").click()
    visitor.page.get_by_text("an infinite variance everywhere").wait_for()
    wait_for(lambda: int(root.get_attribute("data-drawn")) > before, "another picture")
    assert handle.evaluate("e => e.isConnected"), "it must not be built anew"

    # A click chooses a point, and arrow keys move it.
    box = box_at_rest(place)
    place.click(position={"x": 46 + (box["width"] - 56) / 2, "y": 6 + (box["width"] - 56) / 2})
    chosen = visitor.page.get_by_text("At the point that you chose")
    chosen.wait_for()
    before = chosen.inner_text()
    place.press("ArrowRight")
    wait_for(lambda: chosen.inner_text() != before, "the next node")
    visitor.press("Check this A by hand")
    visitor.page.get_by_text("The matrix A").wait_for()
    assert visitor.page.get_by_label("A, row 1, column 1").input_value() != "0.45"
    assert visitor.complaints == []


def term(text):
    """Of a cell, which has a fraction or a number."""
    return float(Fraction(text)) if "/" in (text := text.replace("\N{MINUS SIGN}", "-")) else float(text)


def test_draws_are_seen_piece_by_piece_as_rows_whose_sums_are_their_estimates(visit):
    visitor = visit("", path="/estimator", picture=False, reduced_motion="reduce")
    page = visitor.page
    stair = page.locator(".stair")
    visitor.press("Draw 100")
    values = draw_estimates(EXAMPLE.array, EXAMPLE.law, EXAMPLE.probe, 100, 0).value
    page.get_by_text(f"100 draws have the mean {values.mean():.3f}").wait_for()
    rows, dots = stair.locator(".stair-rows tbody tr"), stair.locator(".stair-rows circle")
    wait_for(lambda: 5 < rows.count() == dots.count(), "the newest draws as rows, and their sums as dots")
    visitor.wait_for_script()

    # The terms of a row add up to its estimate, which is a dot at its place on the axis.
    shown = values[-rows.count() :]
    cells = [row.locator("td").all_inner_texts() for row in rows.all()]
    sums = [sum(term(text) for text in row if text) for row in cells]
    assert sums == pytest.approx(shown, abs=1e-3)
    places = np.array(dots.evaluate_all("all => all.map(one => Number(one.getAttribute('cx')))"))
    steps = np.ptp(places) * (shown - shown.min()) / np.ptp(shown)
    assert places - places.min() == pytest.approx(steps, abs=0.01)

    # The newest draw, a piece at a time: tosses, v, its terms and the sum.
    onward, heard = stair.locator("[data-do=next]"), stair.locator(".stair-heard")
    expect(onward).to_have_text("Again")
    terms, coins = stair.locator(".stair-terms tbody tr").count(), stair.locator(".stair-coin").count()
    onward.click()
    said = []
    for _ in range(coins + 1 + terms + 1):
        onward.click()
        said.append(heard.inner_text())
    expect(onward).to_have_text("Again")
    n = int(stair.locator(".stair-n").inner_text().removeprefix("N = "))
    heads = n - EXAMPLE.law.n_exact
    kinds = [re.match(r"heads|tails|v =|Term \d+|Sum", one)[0] for one in said]
    assert kinds == [*["heads"] * heads, "tails", "v =", *(f"Term {k + 1}" for k in range(terms)), "Sum"]
    assert terms == n and number(said[-1].split()[1]) == pytest.approx(values[-1], abs=1e-3)
    stair.locator("[data-do=back]").click()
    expect(heard).to_contain_text(f"Term {terms}:")
    assert visitor.complaints == []
