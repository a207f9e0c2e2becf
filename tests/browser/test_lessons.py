"""A lesson walked from end to end, as a student does: by the list, with the screen's own controls."""

import json
import math

from playwright.sync_api import expect

from app.text import signed
from tests.served import wait_for


def only(locator):
    """For a moment, while it is drawn anew, a page may hold a part of itself twice."""
    expect(locator).to_have_count(1)
    return locator.last  # the newer one, if that happens just now


def at_rest(visitor):
    """The panel of a lesson has moved to where a step begins: it must not move under the mouse."""
    visitor.wait_for_script()
    visitor.page.wait_for_function("() => !window.resflowReading?.settling")


def press(visitor, name):
    at_rest(visitor)
    only(visitor.page.get_by_role("button", name=name, exact=True)).click()


def panel(page):
    return page.locator(".st-key-lesson")


def slide(page, steps=1):
    """Move the slider of a prediction: until then there is nothing to commit."""
    slider = only(panel(page).get_by_role("slider"))
    slider.focus()
    for _ in range(steps):
        slider.press("ArrowRight")


def commit(visitor, option=None):
    button = only(visitor.page.get_by_role("button", name="Commit", exact=True))

    def is_chosen():
        """Again where it was drawn anew as it was clicked."""
        at_rest(visitor)
        panel(visitor.page).get_by_text(option, exact=True).click()
        try:
            expect(button).to_be_enabled(timeout=3000)
        except AssertionError:
            return False
        return True

    if option:
        wait_for(is_chosen, f"{option!r} to be chosen")
    press(visitor, "Commit")
    # The answer moves the panel: what is clicked before it is there may be missed.
    expect(visitor.page.locator("button:enabled").get_by_text("Commit", exact=True)).to_have_count(0)


def on(visitor, to):
    at_rest(visitor)
    visitor.press_until("Next", panel(visitor.page).get_by_role("heading", name=to), 30)


def check(visitor, says):
    press(visitor, "Check")
    expect(panel(visitor.page).get_by_text(says)).to_be_visible()


def is_done(page):
    expect(panel(page).get_by_text("Done.").last).to_be_visible()


def fill(visitor, field, text):
    """A field of numbers, once the page is drawn: while it is drawn anew, what is typed is lost."""
    expect(field).to_have_count(1)
    visitor.wait_for_script()
    only(field).fill(text)
    only(field).press("Enter")


def type_two_eigenvalues(visitor):
    """Both -0.8, on the series' screen: each changes the true log det, which it shows."""
    for entry, truth in (("row 1, column 1", 0.2 * 1.3), ("row 2, column 2", 0.2 * 0.2)):
        fill(visitor, visitor.page.get_by_role("textbox", name=f"A, {entry}"), "-0.8")
        expect(visitor.page.get_by_text(signed(f"{math.log(truth):.6g}"), exact=True)).to_be_visible()


def write(page, text):
    box = only(panel(page).get_by_role("textbox"))
    box.fill(text)
    box.press("Control+Enter")
    expect(panel(page).get_by_text("Kept.")).to_be_visible()


def ended(visitor, title):
    """The end of a lesson: what to keep, and the list, which says that it is done."""
    expect(panel(visitor.page).get_by_role("heading", name="What to keep")).to_be_visible()
    expect(panel(visitor.page).get_by_text("You have done all of this lesson.")).to_be_visible()
    expect(panel(visitor.page).get_by_role("button", name="Next lesson")).to_be_visible()
    press(visitor, "All lessons")
    row = visitor.page.locator(".st-key-lessons .stHorizontalBlock", has=visitor.page.get_by_role("link", name=title))
    expect(row.get_by_text("min, done").first).to_be_visible()
    assert visitor.complaints == []


def test_a_lesson_is_walked_from_end_to_end_and_found_again(visit, server):
    visitor = visit("", "/learn", picture=False)
    visitor.page.get_by_role("link", name="The log det as a series").wait_for()
    visitor.wait_for_script()  # a click is lost while the page is being drawn
    visitor.page.get_by_role("link", name="The log det as a series").click()
    expect(panel(visitor.page).get_by_text("Lesson").first).to_be_visible()
    page = visitor.page
    expect(page.get_by_text("The screen would show the answer.")).to_be_visible()
    expect(page.locator(".stSidebar")).to_be_hidden()
    slide(page, 5)
    expect(panel(page).get_by_role("slider")).to_have_value("0.05")
    commit(visitor)
    expect(panel(page).get_by_text("You said 0.05, the truth is 0.05391 nats")).to_be_visible()
    expect(panel(page).locator(".stVegaLiteChart")).to_be_visible()
    expect(page.get_by_role("heading", name="The series, term by term")).to_be_visible()
    assert not page.get_by_role("button", name="Draw 1", exact=True).count()

    on(visitor, "How many terms are enough?")
    commit(visitor, "Each further term removes about the same amount.")
    expect(panel(page).get_by_text("Not so.")).to_be_visible()
    check(visitor, "Cut after term 1, it is still too far off")
    terms = only(page.locator(".st-key-beside_lesson").get_by_role("slider"))
    terms.focus()
    for _ in range(7):
        terms.press("ArrowRight")
    is_done(page)
    check(visitor, "With 8 terms the bias is")

    on(visitor, "Nearer to 1")
    slide(page)
    commit(visitor)
    expect(panel(page).get_by_text("Twice the radius is not twice the number of terms.")).to_be_visible()
    write(page, "It cannot bend the plane strongly.")

    # It opens where it was also where nothing but the browser remembers, and by its Back and Forward.
    page.wait_for_function("() => (localStorage.getItem('resflow.progress') ?? '').includes('cannot bend')")
    visitor.wait_for_script()
    page.context.clear_cookies()  # by which the server would know the page again
    page.goto(f"{server.url}/learn?lesson=series")
    expect(panel(page).get_by_role("heading", name="Nearer to 1")).to_be_visible()
    visitor.wait_for_script()
    expect(only(panel(page).get_by_role("textbox"))).to_have_value("It cannot bend the plane strongly.")
    page.wait_for_function("() => window.resflowBrowser?.entry")  # before, Streamlit makes the history by itself
    press(visitor, "Back")
    expect(panel(page).get_by_role("heading", name="How many terms are enough?")).to_be_visible()
    visitor.wait_for_script()
    visitor.wait_for_query(step="terms")
    page.go_back()
    expect(panel(page).get_by_role("heading", name="Nearer to 1")).to_be_visible()
    page.go_forward()
    expect(panel(page).get_by_role("heading", name="How many terms are enough?")).to_be_visible()
    on(visitor, "Nearer to 1")
    on(visitor, "Which way is it wrong?")
    commit(visitor, "Two eigenvalues of \N{MINUS SIGN}0.8")
    type_two_eigenvalues(visitor)
    is_done(page)
    check(visitor, "times as likely as it really does")
    write(page, "It moves eigenvalues towards -1.")

    visitor.wait_for_script()  # which closes a menu
    with page.expect_download() as download:
        panel(page).locator(".st-key-lesson_menu button").click()
        page.get_by_role("button", name="Download what I did").click()
    kept = json.loads(download.value.path().read_text())["lessons"]["series"]
    assert kept["answers"]["budget"] == "It cannot bend the plane strongly."
    assert set(kept["done"]) == {"more", "enough", "flatter", "flattered"}
    page.keyboard.press("Escape")
    ended(visitor, "The log det as a series")
