"""What a gradient costs, by its former address and in a real browser: it measures when told to, and numbers appear."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SMALL
from tests.browser.test_activations import link, quiet, sees, trace
from tests.served import wait_for

SIZES = "&memory.blocks=2&memory.terms=2&memory.width=8&memory.batch=8&memory.draws=4"
BY_TERMS, _, _, NOISE = range(4)


def measured(visitor):
    """Measure, and once all is there: the bytes of naive backpropagation and of both, against n."""
    visitor.press("Measure")
    again = visitor.page.get_by_role("button", name="Measure again")
    expect(again).to_be_visible()
    expect(visitor.page.locator(".planes figure")).to_have_count(4)
    folded = visitor.page.locator("details", has_text="How bytes, time and noise grow")
    if folded.get_attribute("open") is None:
        folded.locator("summary").click()
    wait_for(lambda: (t := trace(visitor, NOISE, "both")) and len(t[0]) == 2, f"the noise; {visitor.problems}")

    def bytes_kept():  # of other sizes, the lines begin anew
        lines = [trace(visitor, BY_TERMS, name) for name in ("naive backpropagation", "both")]
        return all(line and len(line[1]) == 2 for line in lines) and [line[1] for line in lines]

    return wait_for(bytes_kept, f"the bytes; {visitor.problems}")


@pytest.mark.slow
def test_it_measures_when_told_to_and_anew_in_64_dimensions_on_a_phone(visit):
    phone = {"width": 390, "height": 844}
    visitor = visit(f"{SMALL}{SIZES}", path="/memory", picture=False, viewport=phone)
    sees(visitor, re.compile("Not measured yet"))
    visitor.wait_for_query(**{"dimensions.view": "memory"})
    wait_for(lambda: visitor.url.partition("?")[0].endswith("/dimensions"), "the address of the screen")
    assert not visitor.page.locator(".planes figure").count()
    naive, both = measured(visitor)
    assert naive[1] > 1.5 * naive[0] and both[1] < 1.1 * both[0] < naive[1]
    sees(visitor, re.compile("At n = 2 and 2 blocks, both tricks together need at most"))
    visitor.page.get_by_text(re.compile("All numbers")).click()
    row = visitor.page.locator("table tbody tr").first.locator("td")
    cells = wait_for(lambda: (found := row.all_inner_texts()) and "…" not in found and found, "the first row")
    assert cells[0] == "naive backpropagation" and float(cells[7]) > 0
    assert visitor.fits(390)

    visitor.choose("Dimension d", "64")
    wait_for(lambda: link(visitor).get("memory.dim") == "64", "the dimension in the link")
    sees(visitor, re.compile("Not measured yet"))
    assert measured(visitor)[0][1] > 2 * naive[1]

    visitor.choose("Dimension d", "2")
    sees(visitor, re.compile("At n = 2 and 2 blocks, both tricks together need at most"))
    wait_for(lambda: (t := trace(visitor, BY_TERMS, "naive backpropagation")) and t[1] == naive, "the first bytes")
    assert quiet(visitor), visitor.problems
