"""Two lessons walked from end to end, as a student does: by the list, with the screen's own controls."""

import json
import math

import pytest
from playwright.sync_api import expect

from app.text import signed
from tests.served import wait_for


@pytest.fixture
def student(visit):
    """Somebody at the list of lessons."""

    def arrive(lesson):
        visitor = visit("", "/learn", picture=False)
        visitor.page.get_by_role("link", name=lesson).wait_for()
        visitor.wait_for_script()  # a click is lost while the page is being drawn
        visitor.page.get_by_role("link", name=lesson).click()
        expect(title(visitor.page, "Lesson")).to_be_visible()
        return visitor

    return arrive


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


def settled(visitor):
    """A step of a lesson is there, and nothing of it is being drawn."""
    expect(panel(visitor.page).locator(".st-key-lesson_turn")).to_be_visible()
    visitor.wait_for_script()


def title(page, text):
    return panel(page).get_by_text(text).first


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
    assert not [problem for problem in visitor.problems if "404" not in problem]


@pytest.mark.slow
def test_the_series_is_walked_from_end_to_end(student):
    visitor = student("The log det as a series")
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
    press(visitor, "Back")
    expect(panel(page).get_by_role("heading", name="Nearer to 1")).to_be_visible()
    visitor.wait_for_script()
    expect(only(panel(page).get_by_role("textbox"))).to_have_value("It cannot bend the plane strongly.")
    on(visitor, "Which way is it wrong?")
    ended(visitor, "The log det as a series")


@pytest.mark.slow
def test_the_roulette_is_walked_from_end_to_end(student):
    visitor = student("Russian roulette")
    page = visitor.page
    commit(visitor, "8")
    expect(panel(page).get_by_text("You see the truth when this question is asked again")).to_be_visible()
    commit(visitor, "Ben's")
    slide(page)
    commit(visitor)
    on(visitor, "One draw")
    expect(page.get_by_text("The screen would show the answer.")).to_be_visible()
    commit(visitor, "By at least 0.05 and less than 0.3 nats")
    press(visitor, "Draw 1")
    is_done(page)
    fill(visitor, panel(page).get_by_role("spinbutton"), "100")
    commit(visitor)
    expect(panel(page).get_by_text("You said 100, the truth is 416 draws")).to_be_visible()

    on(visitor, "A hundred, ten thousand")
    fill(visitor, page.locator(".st-key-beside_lesson").get_by_role("spinbutton", name="Seed"), "12")
    is_done(page)
    press(visitor, "Draw 100")
    press(visitor, "Draw 10,000")
    expect(panel(page).get_by_text("Done.")).to_have_count(3)
    check(visitor, "These draws give no sign of a bias.")

    on(visitor, "Can an error bar be trusted?")
    slide(page)
    commit(visitor)
    write(page, "From how many throws?")
    on(visitor, "Another probe")
    commit(visitor, "Between a tenth and two thirds of it")
    page.locator(".st-key-beside_lesson").get_by_role("combobox").click()
    page.get_by_role("option", name="Rademacher").click()
    is_done(page)
    check(visitor, "worth as much as")

    on(visitor, "With real coins")
    visitor.wait_for_script()
    coins = page.get_by_label("What the class has drawn")
    coins.fill("1- 2+ 1+ 3- 1+ 1- 2- 1+ 4+ 1-")
    coins.press("Control+Enter")
    is_done(page)
    check(visitor, "draws with coins agree with the log of a determinant.")

    on(visitor, "When is it better to cut?")
    fill(visitor, panel(page).get_by_role("spinbutton"), "26")
    commit(visitor)
    on(visitor, "What is often said")
    commit(visitor, "One draw is not, but the mean of ten thousand draws is")
    commit(visitor, "More than the truth")
    commit(visitor, "Less")
    commit(visitor, "Nothing averages out")
    on(visitor, "The two questions again")
    commit(visitor, "7")
    expect(page.locator(".st-key-why-mean-again")).to_be_visible()
    commit(visitor, "Ben's")
    ended(visitor, "Russian roulette")


@pytest.mark.slow
def test_beside_a_lesson_the_planes_or_the_loss_are_large_and_settings_stand_in_the_row_of_play(visit, server):
    visitor = visit("lesson=believes&step=mass", viewport={"width": 1440, "height": 900})
    settings, row = visitor.page.locator(".st-key-lesson_settings"), visitor.page.locator(".st-key-play")

    def stand_in_one_row():
        terms, play = only(settings.get_by_role("slider", name="Terms")).bounding_box(), only(row).bounding_box()
        return play["y"] <= terms["y"] + terms["height"] / 2 <= play["y"] + play["height"]

    wait_for(stand_in_one_row, "the settings of the step in the row of Play")

    def is_large():
        plane = visitor.page.locator("[data-pane=data] .live-plot").bounding_box()
        return min(plane["width"], plane["height"]) >= 460 and plane["y"] + plane["height"] <= 900

    wait_for(is_large, "a large plane in sight")
    visitor.page.keyboard.press("f")
    expect(visitor.page.locator("html[data-present]")).to_have_count(1)
    assert not visitor.page.locator(".st-key-lesson_settings").is_visible()

    # A step about the curves of the loss shows them large.
    visitor.open(f"{server.url}/explore?lesson=believes&step=on")
    loss = visitor.page.locator("[data-pane=loss] .live-plot")

    def plot():
        return loss.evaluate("box => box.surface?.at?.height ?? 0")

    def is_seen():
        found = loss.bounding_box()
        return plot() >= 160 and found["y"] + found["height"] <= 900

    wait_for(is_seen, "a large loss in sight")
    press(visitor, "Next")
    wait_for(lambda: plot() < 120, "larger planes where the step is about something else")


def test_the_browsers_back_and_forward_go_a_step_over_another_screen_too(visit):
    visitor = visit("lesson=norms&step=certify", "/lipschitz", picture=False)
    # Where no numbers stand above, the row of Play goes on to say the step.
    row = visitor.page.locator(".stHorizontalBlock", has=visitor.page.locator(".st-key-play")).last
    expect(row.get_by_text("step 0")).to_be_visible()
    expect(visitor.page.locator(".st-key-lesson_settings").get_by_role("button", name="More")).to_be_visible()

    page = visitor.page
    page.wait_for_function("() => window.resflowBrowser?.entry")  # before, Streamlit makes the history by itself
    step = panel(page).get_by_role("heading", level=2).first
    expect(step).to_have_text("What is proven")
    press(visitor, "Back")
    expect(step).to_have_text("What is its mass?")
    visitor.wait_for_script()
    page.wait_for_url("**step=mass**")
    page.go_back()
    expect(step).to_have_text("What is proven")
    page.wait_for_url("**step=certify**")
    page.go_forward()
    expect(step).to_have_text("What is its mass?")


def test_a_lesson_opens_where_it_was_when_nothing_but_the_browser_remembers(visit):
    visitor = visit("lesson=series&step=terms", "/learn", picture=False)
    page = visitor.page
    settled(visitor)
    commit(visitor, "Every few terms the error shrinks by about the same factor.")
    expect(panel(page).get_by_text("As you said.")).to_be_visible()
    kept = "JSON.parse(localStorage.getItem('resflow.progress') || '{}').lessons?.series?.answers ?? {}"
    page.wait_for_function(f"() => Object.keys({kept}).length")
    visitor.wait_for_script()
    page.context.clear_cookies()  # by which the server would know the page again
    page.goto(visitor.url.split("/estimator")[0] + "/learn?lesson=series")
    expect(panel(page).get_by_text("You are back where you were")).to_be_visible()
    expect(panel(page).get_by_role("heading", name="How many terms are enough?")).to_be_visible()
    expect(panel(page).get_by_text("As you said.")).to_be_visible()
