"""The Compare screen in a real browser: a comparison is played to its end, and looked at in every way."""

import re

import pytest
from playwright.sync_api import expect

from app.features.compare.settings import PICTURES
from tests.served import wait_for

# The preset of the i-ResNet that believes itself, in small.
QUERY = (
    "data=8gaussians&blocks=2&width=8&budget=0.97&batch=50&compare.a=residual&compare.b=residual"
    "&compare.b.log_det=truncated&compare.seeds=1&compare.steps=100"
)
EXACT, CUT = "Residual, exact", "i-ResNet, 5 terms"


@pytest.fixture
def compare(visit):
    def enter(more: str, **context):
        return visit(f"{QUERY}&{more}", path="/compare", picture=False, **context)

    return enter


def titles(visitor, row):
    """Of the panes in a row of them that are all drawn."""
    root = visitor.page.locator(".planes").nth(row)
    if not root.count():
        return []
    found = root.locator("figcaption").all_inner_texts()
    plots = root.locator(".planes-plot").evaluate_all("boxes => boxes.filter(box => box.surface?.picture).length")
    return found if plots == len(found) else []


def see(visitor, row, wanted):
    wait_for(lambda: titles(visitor, row) == wanted, f"{wanted}, not {titles(visitor, row)}; {visitor.problems}")


def trace(visitor, row, pane, name):
    """The points of a curve by its name, (2, n); None where there is none."""
    plots = visitor.page.locator(".planes").nth(row).locator(".planes-plot")
    return plots.nth(pane).evaluate(
        "(box, name) => (t => t && [[...t.x], [...t.y]])(box.surface?.picture?.layers.find(t => t.name === name))", name
    )


def quiet(visitor):
    """No complaint but Streamlit's own two searches for its server below the page's path."""
    return [p for p in visitor.problems if "404" not in p] == [] and len(visitor.problems) <= 2


ANSWER, PICTURED = range(2)  # rows of panes; the other charts are in the third
BELIEF = ["Believed and true loss"]
CHARTS = [
    "Bias against the number of terms",
    "Fit against steps",
    "Fit against seconds of training",
]


def test_a_comparison_is_played_to_its_end_and_looked_at_in_every_way(compare):
    visitor = compare("compare.c=none&compare.view=spectra")
    page = visitor.page
    for row, wanted in enumerate((BELIEF, [EXACT, CUT], CHARTS)):
        see(visitor, row, wanted)
    expect(page.get_by_text("0 of 100 steps of every flow", exact=True)).to_be_visible()
    page.evaluate("""() => {
        const roots = [...document.querySelectorAll('.planes')];
        const parts = 'figure, .planes-plot, .planes-plot canvas';
        window.known = roots.flatMap((root) => [root, ...root.querySelectorAll(parts)]);
        window.torn = 0;
        new MutationObserver((all) => { window.torn += all.flatMap((m) => [...m.removedNodes])
            .filter((node) => window.known.some((one) => node === one || node.contains(one))).length; })
            .observe(document.body, { childList: true, subtree: true });
    }""")
    visitor.press("Play")
    expect(page.get_by_text("100 of 100 steps of every flow: done.")).to_be_visible()
    wait_for(lambda: (of := trace(visitor, ANSWER, 0, f"{CUT}: truth")) and of[0][-1:] == [100], "the last measurement")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert page.evaluate("window.known.length") >= 18
    assert page.evaluate("window.known.every((node) => node.isConnected)") and page.evaluate("window.torn") == 0
    truth, belief = (trace(visitor, ANSWER, 0, f"{CUT}: {name}") for name in ("truth", "belief"))
    assert truth[0] == belief[0] == sorted(truth[0]) and truth[1][-1] < truth[1][0]
    expect(page.get_by_text(re.compile("Too few seeds to decide.*after 100 steps")).first).to_be_visible()

    for name, wanted in (
        ("densities", ["Truth", EXACT, CUT]),
        ("samples", ["Data", EXACT, CUT]),
        ("layers", ["Truth", EXACT, CUT]),
        ("spectra", [EXACT, CUT]),
    ):
        visitor.wait_for_script()  # or what is clicked may be built anew
        page.get_by_text(PICTURES[name].title, exact=True).click()
        for row, titles_there in enumerate((BELIEF, wanted, CHARTS)):
            see(visitor, row, titles_there)
        if name == "samples":
            wait_for(lambda: (of := trace(visitor, PICTURED, 2, CUT)) and len(of[0]) == 500, "samples of the last flow")
        if name == "layers":
            expect(page.locator("[data-testid=stMain] .katex-display")).to_have_count(2)
    assert quiet(visitor), visitor.problems
