"""The paper's page in a real browser: read from top to bottom, printed, and left by its ways."""

import io
import re
import unicodedata
from xml.etree import ElementTree

import numpy as np
import pypdf
import pytest
from PIL import Image
from playwright.sync_api import expect

from app.features.paper.after import AFTER
from app.features.paper.claims import CLAIMS
from tests.browser.test_take import MENU, SVG, rows_of, taken, texts_of
from tests.served import wait_for

MOST_PAGES = 6


@pytest.fixture
def paper(visit):
    def enter(**context):
        visitor = visit(query="", path="/paper", picture=False, **context)
        visitor.page.locator("[class*=st-key-after_]").last.wait_for()
        visitor.page.locator(".st-key-paper .dots").nth(len(CLAIMS) - 1).wait_for()
        wait_for(lambda: visitor.page.locator(".st-key-paper .katex-display").count() == len(CLAIMS), "every equation")
        return visitor

    return enter


def flat(text):
    """Letters and digits alone: how a printed line breaks and which of its letters are joined does not matter."""
    return re.sub(r"[^\w]", "", unicodedata.normalize("NFKC", text))


CARDS = {f"claim_{name}": claim for name, claim in CLAIMS.items()} | {
    f"after_{name}": one for name, one in AFTER.items() if one.found
}


@pytest.mark.slow
def test_every_card_has_its_ways_fits_can_be_taken_and_is_printed_with_its_verdict(paper):
    visitor = paper()
    page = visitor.page
    cards = page.locator("[class*=st-key-claim_]:has(h2)")
    titles = page.locator(".st-key-paper h2").all_inner_texts()
    assert titles[: len(CLAIMS)] == [f"{k}. {claim.title}" for k, claim in enumerate(CLAIMS.values(), 1)]
    runs = cards.get_by_role("button", name="Run it here", exact=True)
    expect(runs).to_have_count(len(CLAIMS))
    lessons = cards.get_by_role("link", name=re.compile(r"^Lesson \d"))
    expect(lessons).to_have_count(sum(bool(claim.lesson) for claim in CLAIMS.values()))
    for width, least in ((390, 44), (1440, 24)):
        assert visitor.fits(width)
        assert all(box["height"] >= least for box in (runs.nth(k).bounding_box() for k in range(len(CLAIMS))))
    pictures = page.locator(".st-key-paper .dots")
    assert all(len(pictures.nth(k).get_attribute("aria-label")) > 30 for k in range(len(CLAIMS)))
    assert [problem for problem in visitor.problems if "404" not in problem] == []

    # A vector picture has a dot for each value, at its share of the axis, and the page's words.
    expect(page.get_by_role("button", name=MENU)).to_have_count(len(CARDS))
    for place, card in CARDS.items():
        where, picture = page.locator(f".st-key-{place}"), card.found.picture
        _, data = taken(page, "SVG", where)
        dots = [one for one in ElementTree.fromstring(data).iter(f"{SVG}path") if one.get("fill") == "#0072b2"]
        x = np.array([float(re.match(r"M([\d.]+)", one.get("d"))[1]) for one in dots])
        values = np.log(picture.values) if picture.is_log else np.array(picture.values)
        steps = np.ptp(x) * (values - values.min()) / (np.ptp(values) or 1)
        np.testing.assert_allclose(x - x.min(), steps, atol=0.1, err_msg=place)
        words = flat("".join(texts_of(data)))
        assert all(flat(name) in words for name in picture.rows) and flat(picture.axis) in words
        assert not picture.mark or flat(picture.mark[0]) in words

    # Its numbers, and a sharp picture.
    where, picture = visitor.page.locator(".st-key-claim_roulette"), CLAIMS["roulette"].found.picture
    name, data = taken(visitor.page, "CSV", where)
    head, rows = rows_of(data)
    assert name.endswith(".csv") and head[:4] == ["row", "quantity", "value", "unit"]
    np.testing.assert_array_equal(sorted(float(row[2]) for row in rows), sorted(picture.values))
    _, data = taken(visitor.page, "PNG", where)
    image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert image.shape[1] > 800 and len(np.unique(image.reshape(-1, 3), axis=0)) > 20

    # It prints on six pages, with every claim and verdict.
    pdf = pypdf.PdfReader(io.BytesIO(visitor.page.pdf(prefer_css_page_size=True)))
    assert 1 < len(pdf.pages) <= MOST_PAGES
    printed = flat("".join(one.extract_text() for one in pdf.pages))
    for claim in CLAIMS.values():
        assert flat(claim.title) in printed and flat(claim.says) in printed
        assert flat(claim.found.sentence) in printed
    assert all(flat(one.title) in printed for one in AFTER.values())
    assert flat("Run it here") not in printed and flat(MENU) not in printed  # what can only be pressed
    assert visitor.page.locator(".st-key-paper").is_visible()


def test_home_leads_here_and_a_press_leads_on_to_a_run(visit):
    visitor = visit(query="", path="/", picture=False)
    page = visitor.page
    page.locator(".st-key-door_paper a").click()
    page.get_by_role("heading", level=1, name="What does the paper claim").wait_for()
    visitor.wait_for_script()
    wait_for(lambda: not visitor.query, "an address that says nothing more")
    page.locator(".st-key-claim_likelihood").get_by_role("button", name="Run it here").click()
    wait_for(lambda: page.evaluate("location.pathname") == "/explore", "Explore")
    visitor.wait_for_step(1)  # it trains
    wait_for(
        lambda: visitor.query.items() >= {"data": "checkerboard", "blocks": "10", "budget": "0.97"}.items(),
        "the settings of what is stored",
    )
