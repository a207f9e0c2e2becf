"""The Lipschitz screen in a real browser: a flow is trained, broken and brought back, and budgets are compared."""

import re
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SMALL, box_at_rest
from tests.served import wait_for

Z, X, _, _, WALK = range(5)
# How many figures each group of panes has, and how many of them are drawn.
FIGURES = """[...document.querySelectorAll('.planes')].map(root => [root.querySelectorAll('figure').length,
    [...root.querySelectorAll('.planes-plot')].filter(box => box.surface?.picture).length])"""
GUARANTEED = re.compile(r": guaranteed")


@pytest.fixture
def bench(visit):
    """Open a view of the bench: `bench(view, more)`."""

    def enter(view: str, more: str = "", **context):
        query = f"{SMALL}&data=moons&lipschitz.view={view}{more}"
        return visit(query, path="/lipschitz", picture=False, **context)

    return enter


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


def link(visitor):
    return {name: values[0] for name, values in parse_qs(visitor.page.evaluate("location.search.slice(1)")).items()}


def sees(visitor, text):
    expect(visitor.page.get_by_text(text).first).to_be_visible()


def quiet(visitor):
    """No complaint but Streamlit's own search for its server below the page's path."""
    return [p for p in visitor.problems if "404" not in p] == []


def fold(visitor):
    visitor.press_until("Just folded", visitor.page.get_by_text(re.compile(r": folded\.")).first, 10)


def test_a_flow_is_trained_broken_looked_at_and_brought_back(bench):
    visitor = bench("inverse")
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
    wait_for(lambda: float(link(visitor).get("lipschitz.scale", 1)) > 1, "the link")
    assert link(visitor)["lipschitz.block"] != "0"
    visitor.page.get_by_text("Three iterations to x").click()
    sees(visitor, re.compile("Samples are refused"))

    # A click into the z plane moves the ring, the walk and the link; arrow keys move them on.
    visitor.page.locator(".planes-plot").nth(Z).scroll_into_view_if_needed()
    corner = box_at_rest(visitor.page.locator(".planes-plot").nth(Z))
    left, top = plot(visitor, Z, "[at.left + at.width / 4, at.top + at.height / 4]")
    (x0, x1), (y0, y1) = plot(visitor, Z, "[picture.x.range, picture.y.range]")
    visitor.page.mouse.click(corner["x"] + left, corner["y"] + top)
    z = wait_for(lambda: link(visitor)["lipschitz.chosen"] == "True" and link(visitor)["lipschitz.z"], "the click")
    place = [float(c) for c in z.split()]
    assert place == pytest.approx([x0 + (x1 - x0) / 4, y1 - (y1 - y0) / 4], abs=(x1 - x0) / 60)

    def begins(at, what):
        wait_for(lambda: [c[0] for c in trace(visitor, WALK, "Banach's walk")] == pytest.approx(at, abs=1e-4), what)

    begins(place, "the walk to begin there")
    visitor.page.locator(".planes-plot").nth(Z).focus()
    visitor.page.keyboard.press("ArrowRight")
    wait_for(lambda: link(visitor)["lipschitz.z"] != z, "the arrow key")
    there = [float(c) for c in link(visitor)["lipschitz.z"].split()]
    assert there == pytest.approx([place[0] + (x1 - x0) / 40, place[1]], abs=1e-6)
    begins(there, "the walk to begin a fortieth further")

    # The other screens say what is broken, and bring it back.
    visitor.go("Explore")
    sees(visitor, re.compile(r"is scaled by .* on the screen Can it be undone"))
    visitor.press("Bring it back")
    expect(visitor.page.get_by_text("on the screen Can it be undone")).to_have_count(0)
    visitor.go("Can it be undone?", "How it works")
    sees(visitor, GUARANTEED)
    assert quiet(visitor)


@pytest.mark.slow
def test_bring_it_back_and_a_slider_that_is_dragged_while_it_trains(bench):
    visitor = bench("inverse", "&lipschitz.method=newton")
    drawn(visitor)
    visitor.press("Play")
    wait_for(lambda: step(visitor) > 0, "the first steps")
    thumb = visitor.page.get_by_role("slider", name="Scale s of its branch")
    at, track = (box_at_rest(one) for one in (thumb, visitor.page.get_by_test_id("stSlider").filter(has=thumb)))
    visitor.page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    visitor.page.mouse.down()
    for share in (0.5, 0.6, 0.7, 0.75):
        visitor.page.mouse.move(track["x"] + share * track["width"], at["y"] + at["height"] / 2, steps=4)
        visitor.page.wait_for_timeout(400)  # the page is drawn anew in the meantime
    dragged = thumb.get_attribute("aria-valuetext")
    visitor.page.mouse.up()
    assert float(dragged) > 2
    wait_for(lambda: float(link(visitor).get("lipschitz.scale", "1")) == float(dragged), f"the scale {dragged}")
    before = step(visitor)
    wait_for(lambda: step(visitor) > before, "more steps")
    visitor.page.wait_for_timeout(2500)  # and polls
    assert thumb.get_attribute("aria-valuetext") == dragged
    assert float(link(visitor)["lipschitz.scale"]) == float(dragged)
    visitor.page.get_by_role("button", name="Bring it back").click()
    sees(visitor, GUARANTEED)
    wait_for(lambda: float(link(visitor)["lipschitz.scale"]) == 1, "the scale 1 in the link")
    visitor.press("Pause")
    assert quiet(visitor)


@pytest.mark.slow
def test_the_planes_stand_still_while_it_trains(bench):
    visitor = bench("inverse", "&lipschitz.method=newton")
    before = drawn(visitor)
    visitor.page.evaluate("""() => {
        const root = document.querySelector('.planes');
        window.known = [root, ...root.querySelectorAll('figure, .planes-plot, .planes-plot canvas')];
        window.torn = 0;
        new MutationObserver((all) => { window.torn += all.flatMap((m) => [...m.removedNodes])
            .filter((node) => window.known.some((one) => node === one || node.contains(one))).length; })
            .observe(document.body, { childList: true, subtree: true });
    }""")
    visitor.press("Play")
    wait_for(lambda: drawn(visitor) > before + 3, "the planes to be drawn anew")
    wait_for(lambda: step(visitor) > 0, "steps")
    visitor.press("Pause")
    visitor.wait_for_script()
    fold(visitor)
    assert visitor.page.evaluate("window.known.length") >= 7
    assert visitor.page.evaluate("window.known.every((node) => node.isConnected)")
    assert visitor.page.evaluate("window.torn") == 0
    assert quiet(visitor)


@pytest.mark.slow
def test_budgets_are_compared_and_one_is_adopted(bench):
    visitor = bench("budgets")
    sees(visitor, "These flows are not trained yet")
    visitor.press("1 step")
    drawn(visitor, panes=6)

    def kl():
        """Of each flow, by the table; a flow that is not yet measured shows a "…"."""
        cells = visitor.page.locator("table tbody tr td:nth-child(2)").all_inner_texts()
        return [float(cell.split(" ± ")[0]) for cell in cells if cell[:1].isdigit()]

    before = wait_for(lambda: len(kl()) == 4 and kl(), "four rows")
    visitor.press("Play")
    wait_for(lambda: step(visitor) > 60, "steps")
    wait_for(
        lambda: len(now := kl()) == 4 and all(a < 0.8 * b for a, b in zip(now, before, strict=True)), "better fits"
    )
    visitor.press("Pause")
    wait_for(lambda: visitor.page.get_by_role("button", name="Play", exact=True).count(), "a pause")
    visitor.press("L = 0.6")
    wait_for(lambda: link(visitor).get("budget") == "0.6" and "flow.digest" in link(visitor), "the flow to be adopted")
    visitor.page.get_by_text("Enforced, certified, observed").click()
    sees(visitor, "as it was opened")
    sees(visitor, "the claim is L = 0.6. This is proven")
    assert quiet(visitor)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("view", "further", "of", "flows"),
    [("budgets", "", "lipschitz-budgets", 4), ("budgets", "&lipschitz.shapes=True", "lipschitz-shapes", 3),
     ("norms", "", "lipschitz-norms", 5)],
)  # fmt: skip
def test_a_stored_answer_gives_way_to_the_same_flows_in_training(visit, view, further, of, flows):
    visitor = visit(f"device=cpu&lipschitz.view={view}{further}", path="/lipschitz", picture=False)
    sees(visitor, f"python -m app.evidence --only {of}")
    pictures = visitor.page.locator(".planes").last.locator("figure")
    wait_for(lambda: pictures.count() == 1, "the stored picture alone")
    assert not visitor.page.locator("table").count()
    visitor.press("Play")
    wait_for(lambda: step(visitor) > 1, "steps")
    wait_for(lambda: pictures.count() >= 1 + flows + 1, "the truth, every flow and their fits")
    expect(visitor.page.get_by_text(f"--only {of}")).to_have_count(0)
    wait_for(lambda: visitor.page.locator("table tbody tr").count() == flows, "a row for each")
    visitor.press("Pause")
    assert quiet(visitor)


@pytest.mark.slow
def test_flows_of_ones_own_are_not_answered_by_others_and_these_can_be_taken(bench):
    visitor = bench("norms")
    sees(visitor, "These flows are not trained yet")
    visitor.press("Show the stored answer")
    sees(visitor, "python -m app.evidence --only lipschitz-norms")
    wait_for(lambda: link(visitor).get("data") == "checkerboard", "its data in the link")
    expect(visitor.page.get_by_text("These flows are not trained yet")).to_have_count(0)
    assert quiet(visitor)
