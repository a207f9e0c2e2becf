"""What teachers open: the way from the lessons, papers as they are printed, and slides with a live step."""

import re

import pytest
from playwright.sync_api import expect

MILLIMETRES = 96 / 25.4  # pixels
A4 = {"width": round(210 * MILLIMETRES), "height": round(297 * MILLIMETRES)}


@pytest.fixture
def opened(visit):
    """A page of the server, by its address."""
    return lambda path, query="", **context: visit(query, path, picture=False, **context)


def test_from_the_lessons_to_a_paper_and_wrong_answers_come_when_they_are_computed(opened):
    visitor = opened("/learn")
    page = visitor.page
    visitor.wait_for_script()  # a click is lost while the page is being drawn
    page.get_by_role("link", name="For teachers").click()
    page.get_by_role("button", name="The log det as a series").wait_for()
    visitor.wait_for_script()
    page.get_by_role("button", name="The log det as a series").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("The log det as a series")
    visitor.wait_for_query(lesson="series")
    page.get_by_role("tab", name="Papers and slides").click()
    with page.context.expect_page() as other:
        page.get_by_role("link", name="Open", exact=True).nth(1).click()
    expect(other.value.get_by_role("heading", level=1)).to_contain_text("The log det as a series")
    assert "/papers/series/exercises" in other.value.url

    page.get_by_role("tab", name="Wrong answers").click()
    expect(page.locator("[data-testid=stExpander]").first).to_be_visible()
    expect(page.locator("[data-testid=stAlert]")).to_have_count(0)


def test_a_paper_is_printed_black_on_white_within_its_page_and_one_that_there_is_not_is_said(opened, server):
    visitor = opened("/papers/series/handout", viewport=A4, color_scheme="dark")
    page = visitor.page
    page.emulate_media(media="print")
    for paper in ("handout", "exercises", "solutions"):
        page.goto(f"{server.url}/papers/series/{paper}")
        expect(page.locator("math").first).to_be_visible()
        colours = page.evaluate(
            "(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))"
        )
        assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
        assert page.evaluate("document.documentElement.scrollWidth") <= A4["width"]
        heights = page.evaluate(
            "[...document.querySelectorAll('math')].map((one) => one.getBoundingClientRect().height)"
        )
        assert min(heights) > 5  # each formula is drawn
        assert paper == "solutions" or page.locator("mfrac").count() > 0  # they have no fraction
        pages = re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))
        assert 1 <= len(pages) <= 6
        assert visitor.problems == []
    page.emulate_media(media="screen")

    for path in ("/papers/nope/handout", "/papers/series/nope", "/papers/%3Cscript%3E/slides"):
        page.goto(f"{server.url}{path}")
        assert page.locator("p").inner_text().startswith("There is no"), path
        assert page.locator("script").count() == 0, path


@pytest.mark.slow
def test_a_slide_shows_the_live_step_and_folds_its_answers(opened):
    visitor = opened("/papers/series/slides")
    page = visitor.page
    page.locator("#title nav a").last.click()
    step = page.frame_locator("#start iframe")
    expect(step.locator(".st-key-lesson_head")).to_contain_text("The log det as a series")
    expect(step.get_by_text("Step 1 of 4")).to_be_visible()
    answer = page.locator("#start details").first
    assert answer.get_attribute("open") is None
    answer.locator("summary").click()
    expect(answer.locator("strong")).to_be_visible()
    assert not [problem for problem in visitor.problems if "frame" in problem.lower()]
