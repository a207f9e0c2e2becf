"""The dimensions screen in a real browser: the stored picture, a few steps, and a small measurement."""

import re
from contextlib import suppress

import pytest
from playwright.sync_api import Error, expect

from tests.browser.conftest import SMALL
from tests.served import wait_for


def quiet(visitor):
    """No complaint but Streamlit's own two searches for its server below the page's path."""
    return [p for p in visitor.problems if "404" not in p] == [] and len(visitor.problems) <= 2


def pixels(visitor, k):
    """What a grid of images shows, as a checksum, and how many colours."""
    return visitor.page.locator(".images canvas").nth(k).evaluate(
        """canvas => {
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return [data.reduce((sum, v, i) => (sum + v * (i % 9973)) % 1e9, 0), new Set(data).size];
        }"""
    )  # fmt: skip


def bits(visitor):
    found = visitor.page.locator("p", has_text="bits per dimension").all_inner_texts()
    numbers = re.findall(r"(\d\.\d+) ± \d\.\d+ bits per dimension", " ".join(found))
    return float(numbers[0]) if numbers else None


@pytest.mark.slow
def test_digits_are_trained_on_and_costs_are_measured_on_a_phone_too(visit):
    visitor = visit(SMALL, path="/dimensions", picture=False, viewport={"width": 390, "height": 844})
    page = visitor.page
    wait_for(lambda: page.locator(".images canvas").count() == 3, f"three grids; {visitor.problems}")
    first = wait_for(lambda: bits(visitor), "bits per dimension")
    assert 1.5 < first < 2.2
    data, samples = (wait_for(lambda k=k: (found := pixels(visitor, k))[1] > 10 and found, "images") for k in (0, 1))
    element = page.locator(".images").element_handle()
    assert visitor.fits(390)
    visitor.press("Play")
    wait_for(lambda: pixels(visitor, 1) != samples, "samples that follow training")
    visitor.press("Pause")
    wait_for(lambda: page.get_by_role("button", name="Play", exact=True).count(), "a pause")
    # The data stand still, in an element that was never built anew.
    assert pixels(visitor, 0) == data and element.evaluate("node => node.isConnected")
    # Measured again: at a step that was really taken, and near what it was.
    now = wait_for(
        lambda: not page.get_by_text(re.compile(r"\(at step")).count() and bits(visitor), "bits of the flow as it is"
    )
    assert abs(now - first) < 0.2

    page.get_by_text("Exact or estimate").click()

    def chosen():
        """The list closes where the part of the page around it is drawn anew."""
        four = page.get_by_role("option", name="4", exact=True)
        if not four.count():
            page.get_by_role("combobox", name="Largest d").click()
            return False
        with suppress(Error):
            four.click(timeout=1000)
        return "dimensions.largest=4" in page.evaluate("location.search")

    wait_for(chosen, "four dimensions to be chosen")
    wait_for(lambda: "dimensions.largest=4" in page.evaluate("location.search"), "the range in the link")
    visitor.press("Measure")
    expect(page.get_by_text("A step by the estimate is").first).to_be_visible()
    expect(page.get_by_role("button", name="Measure again")).to_be_visible()
    page.get_by_text(re.compile("All numbers")).click()
    cells = page.locator("table tbody tr td:nth-child(2)")
    expect(cells).to_have_count(2)
    assert all(float(cell) > 0 for cell in cells.all_inner_texts())
    wait_for(lambda: page.locator(".planes figure").count() == 3, "three charts")
    assert visitor.fits(390)
    assert quiet(visitor), visitor.problems
