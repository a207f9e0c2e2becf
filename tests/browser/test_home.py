"""The home page and the glossary in a real browser: what moves, what stands still, and where links lead."""

import re
from urllib.parse import urlparse

from app.ui.glossary import entries, linked
from tests.served import wait_for


def pixels(visitor):
    return visitor.page.locator(".replay-plane canvas").first.evaluate("canvas => canvas.toDataURL()")


def told(visitor):
    return visitor.page.locator(".replay-told").inner_text()


def drawn(visitor):
    """Once the picture is there."""
    visitor.page.locator(".replay-plane[aria-label*=checkerboard]").wait_for()
    return pixels(visitor)


def still(visitor):
    before = pixels(visitor)
    visitor.page.wait_for_timeout(700)
    return pixels(visitor) == before


def test_the_run_is_replayed_until_it_is_stopped_and_the_doors_lead_on(visit, server):
    home = visit(query="", path="/", picture=False)
    first = drawn(home)
    wait_for(lambda: pixels(home) != first, "the picture to move")
    home.press("Pause")
    assert still(home)
    home.press("Play")
    wait_for(lambda: not still(home), "the picture to move again")
    assert (urlparse(home.page.url).path, urlparse(home.page.url).query) == ("/", "")
    assert not home.page.get_by_test_id("stSidebar").is_visible()
    assert {urlparse(url).netloc for url in home.requested if url.startswith("http")} == {urlparse(server.url).netloc}
    assert home.problems == []
    doors = home.page.locator("[class*=st-key-door_]").get_by_role("link")
    assert doors.evaluate_all("links => links.map(link => new URL(link.href).pathname)") == [
        "/explore",
        "/explore",
        "/learn",
        "/estimator",
        "/paper",
    ]
    assert "data=drawing" in home.page.locator(".st-key-door_draw").get_by_role("link").get_attribute("href")
    home.page.locator(".st-key-door_check").click(position={"x": 40, "y": 60})  # all of the card is the link
    home.page.get_by_role("heading", name="What does an unbiased log-density cost?").wait_for()
    assert urlparse(home.page.url).path == "/estimator"


def test_who_wants_no_motion_sees_its_end_and_drags_it_and_trusts_five_terms(visit):
    home = visit(query="", path="/", picture=False, reduced_motion="reduce", viewport={"width": 390, "height": 844})
    drawn(home)
    assert still(home)
    end = told(home)
    assert "Step 1,500" in end and "impossible" not in end
    wide = "document.querySelector('[data-testid=stMain]')"
    assert home.page.evaluate(f"{wide}.scrollWidth <= {wide}.clientWidth")

    loss = home.page.locator(".replay-loss")
    loss.click(position={"x": 66, "y": 60})
    wait_for(lambda: told(home).startswith("Step 0:"), "the beginning, where the line was pressed")
    slider = home.page.get_by_role("slider", name="Step of training")
    slider.focus()
    slider.press("End")
    wait_for(lambda: told(home) == end, "the end again, by a key")
    home.page.get_by_role("switch", name="Trust only 5 terms").check()
    wait_for(lambda: "impossible" in told(home), "a loss that no density can have")
    home.press("Play")
    wait_for(lambda: not still(home), "the picture to move for who asks for it")


def test_a_link_to_the_glossary_goes_to_its_word(visit, server):
    visitor = visit(query="", path="/glossary", picture=False)
    visitor.page.locator("#variance").wait_for()
    ids, slugs = "[...document.querySelectorAll('h2')].map(h => h.id)", [entry.slug for entry in entries()]
    wait_for(lambda: visitor.page.evaluate(ids) == slugs, "all entries in their order")
    wait_for(lambda: visitor.page.locator(".katex").count() > 50, "formulas, which come later than their text")
    assert visitor.page.locator(".katex-error").count() == 0
    (target,) = re.findall(r"\]\((\S+) ", linked("the survival function"))
    visitor.page.goto("about:blank")
    visitor.page.goto(f"{server.url}/{target}")
    visitor.page.locator(".katex").last.wait_for()
    top = "(document.querySelector('#survival-function')?.getBoundingClientRect().top ?? 9999)"
    wait_for(lambda: 40 < visitor.page.evaluate(top) < 200, "the word to stand at the top")
    assert visitor.page.url == f"{server.url}/glossary#survival-function"
