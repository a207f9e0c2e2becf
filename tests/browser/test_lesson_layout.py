"""A task of a lesson and what it is done with are in sight together, on a wide page and on a phone, and what was just
answered is too. Places are bounding boxes within the window."""

import re

import pytest
from playwright.sync_api import expect

from app import screens  # noqa: F401  fills the registries that lessons are read with
from app.lessons.shelf import shelf
from tests.browser.test_lessons import commit, panel, press, settled, type_two_eigenvalues
from tests.served import wait_for

DESK = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SHORT = {"viewport": {"width": 1440, "height": 600}}
TASK = ".stVerticalBlock:has(> * > .st-key-lesson_task)"
PICTURES = ":is(canvas, .stVegaLiteChart, table, .stAlert, [data-testid=stAlert])"


def box(locator):
    """(left, top, right, bottom) in pixels."""
    found = locator.bounding_box()
    return found["x"], found["y"], found["x"] + found["width"], found["y"] + found["height"]


def is_in_sight(page, locator):
    left, top, right, bottom = box(locator)
    size = page.viewport_size
    return left >= 0 and top >= 0 and right <= size["width"] + 1 and bottom <= size["height"] + 1


def is_seen(page, locator, least=150):
    """Whether enough of a picture is in the window and not below the lesson, which on a phone lies over the page."""
    over = box(page.locator(".st-key-lesson"))
    on_phone = page.viewport_size["width"] < 1000
    bottom = over[1] if on_phone else page.viewport_size["height"]
    place = locator.bounding_box()
    if not place:  # it is being drawn anew
        return False
    top, end = place["y"], place["y"] + place["height"]
    return min(end, bottom) - max(top, 0) >= min(least, end - top)


def task(page):
    found = page.locator(TASK)
    expect(found).to_have_count(1)
    return found


def check(visitor):
    """The task is in sight with its answers and its button, and so is a picture, if need be by scrolling the screen."""
    page = visitor.page
    found = task(page)
    page.wait_for_function(f"() => document.querySelector('{TASK}')?.getBoundingClientRect().bottom <= innerHeight + 1")
    buttons = found.get_by_role("button", name=re.compile("^(Commit|Check)$")).all()
    answers = [one.locator("xpath=ancestor::label[1]") for one in found.locator("input[type=radio]").all()]
    wait_for(lambda: all(is_in_sight(page, part) for part in (found, *buttons, *answers)), "the task in sight")
    # One that has been drawn: it may be drawn anew at any time, and a hidden one may stand before it.
    picture = page.locator(f".st-key-beside_lesson {PICTURES}").locator("visible=true").first
    picture.wait_for()

    def seen():
        """Both. A picture may be drawn anew, in another place, while the screen is scrolled."""
        place = picture.bounding_box()
        if not place:
            return False
        page.evaluate(f"document.querySelector('.stMain').scrollBy(0, {place['y'] - 60})")
        return is_seen(page, picture) and is_in_sight(page, found)

    wait_for(seen, "a picture in sight, and the task")


def walk(visit, lesson, most=None):
    """Through all steps, or the first ones, by *Next*, and `check` each on a desk and on a phone."""
    steps = shelf().originals[lesson].steps[:most]
    visitor = visit(f"lesson={lesson}&step={steps[0].id}", "/learn", picture=False)
    page = visitor.page
    for step in steps:
        visitor.wait_for_query(step=step.id)
        settled(visitor)
        page.wait_for_function(f"() => window.resflowReading?.step === '{lesson}.{step.id}'")
        if step.id == "suspect-a":  # its seven answers stand beside the draws that they are about
            press(visitor, "Draw 10,000")
            expect(task(page).locator("input[type=radio]")).to_have_count(7)
            expect(page.locator(".st-key-beside_lesson .stVegaLiteChart").nth(2)).to_be_visible()
            page.evaluate("document.querySelector('.stMain').scrollTo(0, 0)")
            charts = page.locator(".st-key-beside_lesson .stVegaLiteChart").all()[:3]
            wait_for(lambda charts=charts: all(is_in_sight(page, chart) for chart in charts), "the draws in sight")
        for size in (PHONE, DESK):
            page.set_viewport_size(size["viewport"])
            check(visitor)
        if step is not steps[-1]:
            press(visitor, "Next")


@pytest.mark.slow
def test_the_questions_of_lesson_10_are_in_sight_with_their_answers_and_the_evidence(visit):
    walk(visit, "bugs", 2)


@pytest.mark.slow
@pytest.mark.parametrize("lesson", shelf().originals)
def test_every_task_is_in_sight_with_what_it_is_done_with(visit, lesson):
    walk(visit, lesson)


def test_after_an_answer_its_verdict_is_in_sight_and_the_next_step_begins_at_its_top(visit):
    visitor = visit("lesson=believes&step=first", "/learn", picture=False, **PHONE)
    page = visitor.page
    settled(visitor)
    expect(task(page)).to_be_visible()
    task(page).locator("label").filter(has=page.locator("input[type=radio]")).first.click()
    commit(visitor)
    answered = page.locator(".stVerticalBlock.st-key-lesson-who")
    expect(answered).to_be_visible()
    page.wait_for_function(
        """() => {
          const one = document.querySelector('.stVerticalBlock.st-key-lesson-who').getBoundingClientRect();
          const panel = document.querySelector('.st-key-lesson').getBoundingClientRect();
          return one.top >= panel.top - 1 && one.top < panel.bottom - 60;
        }"""
    )
    page.evaluate("const panel = document.querySelector('.st-key-lesson'); panel.scrollTop = panel.scrollHeight")
    press(visitor, "Next")
    expect(panel(page).get_by_role("heading", level=2)).to_have_text("Train on")
    page.wait_for_function("() => document.querySelector('.st-key-lesson').scrollTop === 0")


def typed(visitor, entries):
    """Type W on the stretch screen, row by row, each entry once the page has the one before."""
    places = ((row, column) for row in (1, 2) for column in (1, 2))
    for k, ((row, column), entry) in enumerate(zip(places, entries, strict=True)):
        field = visitor.page.get_by_role("textbox", name=f"W, row {row}, column {column}", exact=True)
        if field.input_value() != entry:
            field.fill(entry)
            field.press("Enter")
            wait_for(
                lambda k=k, entry=entry: float(visitor.query["stretch.matrix"].split()[k]) == float(entry),
                f"{entry} in row {row}, column {column}",
            )
            visitor.wait_for_script()


def test_a_verdict_goes_with_what_it_was_about_and_a_step_begins_at_the_top_of_its_screen(visit):
    visitor = visit("lesson=change&step=forget", "/learn", picture=False, viewport={"width": 1440, "height": 600})
    page = visitor.page
    settled(visitor)
    commit(visitor, "1/2")
    visitor.wait_for_script()
    page.locator(".st-key-beside_lesson").get_by_text("Forget the determinant", exact=True).click()
    visitor.wait_for_script()
    typed(visitor, ("0.5", "0", "0", "0.5"))
    done = page.locator(".stVerticalBlock.st-key-lesson-forget-it")
    expect(done).to_be_visible()
    typed(visitor, ("2", "0", "0", "0.5"))
    press(visitor, "Check")
    verdict = panel(page).get_by_test_id("stAlert")
    expect(verdict).to_have_count(1)
    typed(visitor, ("0.5", "0", "0", "0.5"))
    expect(verdict).to_have_count(0)
    scrolled = "document.querySelector('[data-testid=stMain]').scrollTop"
    page.evaluate(f"{scrolled} = 300")
    page.wait_for_function(f"() => {scrolled} > 200")
    press(visitor, "Next")
    expect(panel(page).get_by_role("heading", level=2)).to_have_text("One determinant per place")
    page.wait_for_function(f"() => {scrolled} === 0")
    press(visitor, "Back")
    expect(panel(page).get_by_role("heading", level=2)).to_have_text("Forget the determinant")
    first = page.get_by_role("textbox", name="W, row 1, column 1", exact=True)
    expect(first).to_have_value("0.5")


def test_a_question_gives_way_to_the_text_that_is_read_and_what_is_said_ends_above_the_next(visit):
    visitor = visit("lesson=change&step=stay", "/learn", picture=False, **SHORT)
    page = visitor.page
    settled(visitor)
    lesson, button = page.locator(".st-key-lesson"), task(page).get_by_role("button", name="Commit")

    def task_covers():
        return box(task(page))[1] < box(page.locator(".stVerticalBlock.st-key-lesson-shear"))[3] - 1

    def whole():
        """Touched, for the panel may take the way to its top for one more turn by the hand."""
        task(page).get_by_text("Predict.").dispatch_event("click")  # a click would scroll to it first
        return is_in_sight(page, button)

    for size in (SHORT, PHONE):
        page.set_viewport_size(size["viewport"])
        lesson.evaluate("panel => { panel.scrollTop = 0; }")
        hides = "() => document.querySelector('.st-key-lesson').hasAttribute('data-hides')"
        page.wait_for_function(hides)
        wait_for(whole, "the question in sight")
        wait_for(task_covers, "the question over the text")

        def turned():
            """As a finger does, and again where the panel was too busy to see that a hand moved it. It glides away."""
            lesson.evaluate(
                """panel => {
                  const end = document.querySelector(".stVerticalBlock.st-key-lesson-shear").offsetHeight;
                  panel.dispatchEvent(new WheelEvent("wheel", { bubbles: true }));
                  panel.scrollTop = panel.scrollTop === end ? end - 1 : end;
                }"""
            )
            return not task_covers() and not is_in_sight(page, button)

        wait_for(turned, "the question to give way")
        task(page).get_by_text("Predict.").click()
        wait_for(lambda: is_in_sight(page, button), "the question to come back")

    # What was done and what is said of it end above the next task.
    page.set_viewport_size(DESK["viewport"])

    commit(visitor, "It is negative")
    page.wait_for_function(
        """() => {
          const said = document.querySelector('.stVerticalBlock.st-key-lesson-sign')?.getBoundingClientRect();
          const mark = document.querySelector('.st-key-lesson-turned .st-key-lesson_task');
          const task = mark?.closest('.st-key-lesson-turned').getBoundingClientRect();
          return said && task && said.bottom <= task.top + 12;
        }"""
    )
    lesson.hover()

    def hides():
        """Again where the page has only now scrolled to what was said."""
        page.mouse.wheel(0, -2000)
        page.wait_for_timeout(200)
        return lesson.get_attribute("data-hides") is not None

    wait_for(hides, "what is said to stand above what is seen")


def test_the_sheet_folds_and_its_controls_can_be_touched(visit):
    visitor = visit("lesson=change&step=area", "/learn", picture=False, **PHONE)
    page = visitor.page
    settled(visitor)
    lesson, fold = page.locator(".st-key-lesson"), page.locator(".st-key-lesson_fold label")
    assert visitor.fits(390)
    for control in (fold, page.locator(".st-key-lesson_menu button")):
        assert control.bounding_box()["height"] >= 44
    before = lesson.bounding_box()["height"]
    assert 300 <= before <= 844 / 2
    fold.tap()
    page.wait_for_function("() => document.querySelector('.st-key-lesson').getBoundingClientRect().height < 70")
    fold.tap()
    page.wait_for_function(
        f"() => document.querySelector('.st-key-lesson').getBoundingClientRect().height >= {before - 1}"
    )
    assert not [problem for problem in visitor.problems if "404" not in problem]


def test_a_hint_that_is_opened_is_read_above_the_question(visit):
    visitor = visit("lesson=roulette&step=one", "/learn", picture=False, **SHORT)
    page = visitor.page
    settled(visitor)
    hint = panel(page).locator("details").first
    listens = "() => document.querySelector('.st-key-lesson').style.getPropertyValue('--ground')"
    page.wait_for_function(listens)  # the panel's own script may come after the panel
    words = hint.get_by_text("the other terms are missing")

    def is_read():
        lesson, found = box(page.locator(".st-key-lesson")), box(words)
        return found[1] >= lesson[1] and found[3] <= box(task(page))[1] + 1

    for size in (SHORT, PHONE):
        page.set_viewport_size(size["viewport"])
        if hint.evaluate("details => details.open"):
            hint.locator("summary").press("Enter")
            expect(words).to_be_hidden()
            page.evaluate("document.querySelector('.st-key-lesson').scrollTop = 0")
        hint.locator("summary").press("Enter")  # on a phone it may begin below the question
        expect(words).to_be_visible()
        wait_for(is_read, "the hint above the question")


def test_words_that_are_typed_while_a_verdict_comes_stay(visit):
    visitor = visit("lesson=series&step=which-way", "/learn", picture=False, **DESK)
    page = visitor.page
    settled(visitor)
    commit(visitor, "Two eigenvalues of \N{MINUS SIGN}0.8")
    type_two_eigenvalues(visitor)
    visitor.wait_for_script()
    words = panel(page).get_by_role("textbox")
    words.fill("It moves eigenvalues")
    panel(page).get_by_role("button", name="Check", exact=True).evaluate("button => button.click()")  # the focus stays
    expect(panel(page).get_by_text("times as likely as it really does")).to_be_visible()
    expect(task(page).get_by_role("textbox")).to_be_visible()
    visitor.wait_for_script()
    expect(words).to_have_value("It moves eigenvalues")
    expect(words).to_be_focused()
