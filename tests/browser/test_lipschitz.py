"""The Lipschitz screen in a real browser: a flow is trained, broken and brought back, and budgets are compared."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SMALL, box_at_rest
from tests.served import wait_for

Z, X, _, _, WALK = range(5)
GUARANTEED = re.compile(r": guaranteed")


def drawn(visitor, panes=3):
    """How many times a pane was drawn, once so many are."""
    root = visitor.page.locator(".planes").first
    return int(wait_for(lambda: root.count() and root.locator("figure").count() == panes
                        and int(root.get_attribute("data-drawn") or 0) >= panes
                        and root.get_attribute("data-drawn"), f"{panes} panes; {visitor.problems}"))  # fmt: skip


def plot(visitor, pane, expression):
    """A JavaScript expression of the `picture` that a pane has drawn, and `at`, where its plot is."""
    plots = visitor.page.locator(".planes-plot")
    return plots.nth(pane).evaluate(f"({{surface: {{picture, at}}}}) => {expression}")


def trace(visitor, pane, name):
    """The points of a curve or of dots by their name; None where there is none."""
    return plot(visitor, pane, f"(t => t && [[...t.x], [...t.y]])(picture.layers.find(t => t.name === {name!r}))")


def step(visitor):
    found = visitor.page.get_by_text(re.compile(r"^step [\d,]+"))
    return int(re.match(r"step ([\d,]+)", found.first.inner_text())[1].replace(",", ""))


def sees(visitor, text):
    expect(visitor.page.get_by_text(text).first).to_be_visible()


def fold(visitor):
    visitor.press_until("Just folded", visitor.page.get_by_text(re.compile(r": folded\.")).first, 10)


def test_a_flow_is_trained_broken_looked_at_and_brought_back(visit):
    visitor = visit(f"{SMALL}&data=moons&lipschitz.view=inverse", path="/lipschitz", picture=False)
    sees(visitor, re.compile("it is guaranteed"))
    drawn(visitor)

    # Step by step from z back to x, and from any other z at once: on the flow that comes with the project, too.
    def steps():
        return len((trace(visitor, X, "the way so far") or [[]])[0]) - 1

    assert steps() == 0 and len(trace(visitor, X, "its x")[0]) == 1
    visitor.press("Next step")
    wait_for(lambda: steps() == 1, "a step")
    began = trace(visitor, X, "z = x₀")
    corner = box_at_rest(visitor.page.locator(".planes-plot").nth(Z))
    left, top = plot(visitor, Z, "[at.left + at.width / 3, at.top + at.height / 3]")
    visitor.page.mouse.click(corner["x"] + left, corner["y"] + top)
    wait_for(lambda: steps() > 1 and trace(visitor, X, "z = x₀") != began, "the way from another z")
    visitor.press("Far beyond the fold: s = 5.608")
    wait_for(lambda: trace(visitor, Z, "edge of the fold"), "a fold")
    visitor.press("Back to the trained block: s = 1")
    wait_for(lambda: trace(visitor, X, "its x"), "one x")
    visitor.press("100 steps")
    wait_for(lambda: step(visitor) == 100, "100 steps")
    sees(visitor, GUARANTEED)
    fold(visitor)
    wait_for(lambda: len((trace(visitor, X, "3 x of the z in the ring") or [[]])[0]) == 3, "three stars")
    assert trace(visitor, Z, "edge of the fold")
    wait_for(lambda: float(visitor.query.get("lipschitz.scale", 1)) > 1, "the link")
    assert visitor.query["lipschitz.block"] != "0"
    visitor.page.get_by_text("Three iterations to x").click()
    sees(visitor, re.compile("Samples are refused"))

    # A click into the z plane moves the ring, the walk and the link; arrow keys move them on.
    visitor.page.locator(".planes-plot").nth(Z).scroll_into_view_if_needed()
    corner = box_at_rest(visitor.page.locator(".planes-plot").nth(Z))
    left, top = plot(visitor, Z, "[at.left + at.width / 4, at.top + at.height / 4]")
    (x0, x1), (y0, y1) = plot(visitor, Z, "[picture.x.range, picture.y.range]")
    visitor.page.mouse.click(corner["x"] + left, corner["y"] + top)
    z = wait_for(lambda: visitor.query["lipschitz.chosen"] == "True" and visitor.query["lipschitz.z"], "the click")
    place = [float(c) for c in z.split()]
    assert place == pytest.approx([x0 + (x1 - x0) / 4, y1 - (y1 - y0) / 4], abs=(x1 - x0) / 60)

    def begins(at, what):
        wait_for(lambda: [c[0] for c in trace(visitor, WALK, "Banach's walk")] == pytest.approx(at, abs=1e-4), what)

    begins(place, "the walk to begin there")
    visitor.page.locator(".planes-plot").nth(Z).focus()
    visitor.page.keyboard.press("ArrowRight")
    wait_for(lambda: visitor.query["lipschitz.z"] != z, "the arrow key")
    there = [float(c) for c in visitor.query["lipschitz.z"].split()]
    assert there == pytest.approx([place[0] + (x1 - x0) / 40, place[1]], abs=1e-6)
    begins(there, "the walk to begin a fortieth further")

    # The other screens say what is broken, and bring it back.
    visitor.go("Explore")
    sees(visitor, re.compile(r"is scaled by .* on the screen Can it be undone"))
    visitor.press("Bring it back")
    expect(visitor.page.get_by_text("on the screen Can it be undone")).to_have_count(0)
    visitor.go("Can it be undone?", "How it works")
    sees(visitor, GUARANTEED)
    assert visitor.complaints == []
