"""From the home page, where a stored run is replayed, to the paper's claims and on to a run of one of them."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from playwright.sync_api import expect

from app.evidence import stored
from app.features.home.evidence import CUT, EXACT, NAME
from app.features.paper.claims import CLAIMS
from tests.browser.taken import SVG, rows_of, taken
from tests.served import wait_for


def told(visitor):
    return visitor.page.locator(".replay-told").inner_text()


def test_a_stored_run_is_replayed_the_papers_numbers_are_drawn_and_a_claim_is_run(visit):
    home = visit(query="", path="/", picture=False, reduced_motion="reduce")
    page, found = home.page, stored(NAME).found
    page.locator(".replay-plane[aria-label*=checkerboard]").wait_for()
    expect(page.locator(".replay-told")).to_contain_text(f"Step {found['steps'][-1]:,}")  # who wants no motion
    page.get_by_role("slider", name="Step of training").fill("12")
    wait_for(lambda: told(home).startswith(f"Step {found['steps'][12]:,}"), "a stored step")
    _, rows = rows_of(taken(page, "CSV: density")[1])
    density = np.array([row[1:] for row in rows], float)
    step = np.ptp(np.array(found["window"]), axis=1) / (round(len(density) ** 0.5) - 1)
    # What colours leave out, the densest half percent of the nodes, and what lies outside of the window.
    assert density[:, 2].sum() * step.prod() == pytest.approx(1, abs=0.06)
    _, rows = rows_of(taken(page, "CSV: loss and mass")[1])
    numbers = np.array(rows, float)
    np.testing.assert_allclose(numbers[:, 0], found["steps"])
    np.testing.assert_allclose(numbers[:, 1], found[EXACT]["true"])
    page.get_by_role("switch", name="Trust only 5 terms").check()
    wait_for(lambda: f"{found[CUT]['mass'][12]:.2f}" in told(home), "the mass that training believes in")
    home.press("Play")
    page.get_by_role("button", name="Pause", exact=True).wait_for()
    assert home.complaints == []

    page.locator(".st-key-door_paper a").click()
    page.get_by_role("heading", level=1, name="What does the paper claim").wait_for()
    page.locator(".st-key-paper .dots").nth(len(CLAIMS) - 1).wait_for()
    home.wait_for_script()
    # A vector picture has a dot for each value, at its share of the axis; a table has the values.
    for name, claim in CLAIMS.items():
        picture = claim.found.picture
        _, data = taken(page, "SVG", page.locator(f".st-key-claim_{name}"))
        dots = [one for one in ElementTree.fromstring(data).iter(f"{SVG}path") if one.get("fill") == "#0072b2"]
        x = np.array([float(re.match(r"M([\d.]+)", one.get("d"))[1]) for one in dots])
        values = np.log(picture.values) if picture.is_log else np.array(picture.values)
        steps = np.ptp(x) * (values - values.min()) / (np.ptp(values) or 1)
        np.testing.assert_allclose(x - x.min(), steps, atol=0.1, err_msg=name)
    _, rows = rows_of(taken(page, "CSV", page.locator(".st-key-claim_roulette"))[1])
    values = CLAIMS["roulette"].found.picture.values
    np.testing.assert_array_equal(sorted(float(row[2]) for row in rows), sorted(values))
    home.wait_for_script()
    page.locator(".st-key-claim_likelihood").get_by_role("button", name="Run it here").click()
    wait_for(lambda: page.evaluate("location.pathname") == "/explore", "Explore")
    home.wait_for_step(1)  # it trains
    home.wait_for_query(data="checkerboard", blocks="10", budget="0.97")
