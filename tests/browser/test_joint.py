"""The Joint screen in a real browser: it plays, tells the classes apart, and its weight moves."""

import re

import pytest

from tests.browser.conftest import SMALL
from tests.browser.test_activations import link, quiet, sees
from tests.served import wait_for

PANES = (2, 4, 3, 3)
NUMBERS = re.compile("All numbers: a row for each classifier")


def cell(visitor, row, column):
    """A number of the table, or None before there is one."""
    text = visitor.page.locator(f"table tbody tr:nth-child({row}) td:nth-child({column})").first
    found = re.match(r"\d+(\.\d+)?", text.inner_text()) if text.count() else None
    return found and float(found[0])


@pytest.mark.slow
def test_it_learns_to_tell_the_moons_apart_and_its_weight_moves(visit):
    visitor = visit(f"{SMALL}&data=noisymoons", path="/joint", picture=False)
    sees(visitor, re.compile("Far from the data both classifiers stay confident"))
    visitor.press("Use your own data and flow")
    root = visitor.page.locator(".planes")
    wait_for(lambda: [root.nth(k).locator("figure").count() for k in range(root.count())] == [*PANES],
             f"{PANES} panes; {visitor.problems}")  # fmt: skip
    visitor.page.get_by_text(NUMBERS).click()
    best = wait_for(lambda: cell(visitor, 3, 3), "what Bayes' rule has")
    assert 90 < best < 95
    visitor.press("Play")
    wait_for(lambda: (now := cell(visitor, 1, 3)) and now > best - 2, "an accuracy near the best")
    sees(visitor, re.compile("Far from the data"))
    slider = visitor.page.get_by_role("slider", name=re.compile("Weight"))
    slider.focus()
    for _ in range(2):
        visitor.page.keyboard.press("ArrowLeft")
    wait_for(lambda: link(visitor).get("joint.weight") == "0.2", "the weight in the link")
    visitor.press("Pause")
    wait_for(lambda: visitor.page.get_by_role("button", name="Play", exact=True).count(), "a pause")
    step = int(re.search(r"step ([\d,]+)", visitor.page.locator(".stMain").inner_text())[1].replace(",", ""))
    assert step > 20
    assert quiet(visitor), visitor.problems
