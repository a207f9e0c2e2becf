"""A room in real browsers: a wall, phones, and a lesson whose votes count; what is sent is what the wall says."""

import csv
import io
import re

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import expect

from tests.browser.conftest import MOST_MS, wait_for_script
from tests.served import wait_for

WALL = {"width": 1280, "height": 720}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
PHONES = 6  # of fewer votes than five nothing is saved
LESSON = "roulette"


@pytest.fixture
def opened(server, chromium):
    """A browser with a room of its own for each: `opened(path)` is a page of the app in a new context."""
    contexts, problems = [], []

    def page(path, **context):
        contexts.append(chromium.new_context(**context))
        made = contexts[-1].new_page()
        made.set_default_timeout(MOST_MS)
        made.on("pageerror", lambda error: problems.append(str(error)))
        made.goto(f"{server.url}/{path}")
        return made

    yield page
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture
def wall(opened):
    page = opened(f"wall/new?lesson={LESSON}", viewport=WALL)
    expect(page.locator("header .code")).to_have_text(re.compile("^[A-Z]{5}$"))
    return page


def do(wall, name):
    wall.locator(f"#do-{name}").click()


def tap(button, seen):
    """Tap until it is heard, and wait for its effect: a member is heard once a second, and told so. What was heard is
    not said twice, however late the answer comes."""

    def there():
        try:
            with button.page.expect_request(lambda request: request.method == "POST", timeout=3_000) as said:
                button.tap()
        except PlaywrightTimeoutError:  # it was drawn anew under the finger
            return False
        if not said.value.response().ok:
            return False
        seen.first.wait_for()
        return True

    wait_for(there, "what a tap does")


def saved(wall, name):
    """What the wall saves by a button of its menu."""
    wall.locator("#more summary").click()
    with wall.expect_download() as found:
        wall.locator(f"#save-{name}").click()
    expect(wall.locator(".menu")).to_be_hidden()
    return found.value.path().read_text()


def counts(wall):
    """The rows of the counts that the wall saves."""
    return list(csv.DictReader(io.StringIO(saved(wall, "counts"))))


def test_a_class_votes_draws_sees_it_on_the_wall_and_follows_a_lesson(opened, wall):
    code = wall.locator("header .code").inner_text()
    phones = [opened(f"r/{code}", **PHONE) for _ in range(PHONES - 1)]
    typed = opened("r", **PHONE)
    typed.locator("#code").fill(code.lower())
    typed.locator("form.join button").tap()
    phones.append(typed)
    for phone in phones:
        expect(phone.locator("header")).to_contain_text(code)
    wall.select_option("#choose", "stray")
    for number, phone in enumerate(phones):
        tap(phone.locator("section .choices button").nth(number % 2), phone.locator(".given"))
    expect(wall.locator(".answered")).to_contain_text(f"{PHONES}")
    expect(wall.locator(".bar")).to_have_count(0)  # hidden until they are shown
    do(wall, "show")
    people = wall.locator(".bar .people")
    expect(people).to_have_text(["3", "3", "0"])
    do(wall, "again")
    for phone in phones:
        third = phone.locator("section .choices button").nth(2)
        third.wait_for()
        tap(third, phone.locator(".given"))
    do(wall, "reveal")
    expect(people).to_have_text(["3", "0", "3", "0", "0", "6"])
    expect(wall.locator(".bar.right")).to_have_count(1)
    reasons = [phone.locator(".truth").inner_text() for phone in phones]
    assert len(set(reasons)) == 1 and reasons[0] != wall.locator(".truth").inner_text()  # all have said the third
    assert [row["people"] for row in counts(wall)] == ["3", "3", "0", "0", "0", "6"]

    wall.locator("#view-draws").click()
    wall.select_option("#gather", "many")
    for number, phone in enumerate(phones):
        n = (10, 100)[number % 2]
        tap(phone.get_by_role("button", name=f"Draw {n}", exact=True), phone.get_by_text(f"{n} draws: mean"))
    expect(wall.locator("section.draws")).to_contain_text(f"{3 * 10 + 3 * 100} draws")
    for chart in ("mean", "histogram", "intervals", "shared"):
        wall.locator(f"#chart-{chart}").click()
        expect(wall.locator("svg.chart")).to_be_visible()
    phones[0].get_by_role("button", name="Heads").tap()
    tap(phones[0].get_by_role("button", name="Tails"), phones[0].get_by_text("The last one had 2"))
    expect(wall.locator("section.draws")).to_contain_text("1 rows of throws, 2 throws")
    for phone in phones[1:5]:
        tap(phone.get_by_role("button", name="Tails"), phone.get_by_text("The last one had 1"))
    expect(wall.locator("section.draws")).to_contain_text("5 rows of throws")
    program = saved(wall, "coins")
    assert compile(program, "coins.py", "exec") and "1: 4," in program and "2: 1," in program

    # A member follows the lesson, whose votes count, and waits for the wall; who is not the teacher has no wall.
    phone = phones[0]
    wall.locator("#view-question").click()
    phone.locator("p.quiet a").last.click()
    phone.locator(".st-key-lesson_head").wait_for()
    expect(phone.locator(".st-key-lesson")).to_contain_text(code)
    commit = phone.get_by_role("button", name="Commit")
    for block in ("mean-first", "spread-first"):  # they are asked again at the end, so nothing waits for their truth
        answer = phone.locator(f".st-key-lesson-{block}").get_by_role("radio").first
        answer.wait_for(state="attached")
        wait_for_script(phone)
        answer.check(force=True)
        expect(commit).to_be_enabled()
        commit.click()
        expect(phone.locator(f".st-key-lesson-{block}").get_by_role("radio")).to_have_count(0)
    guess = phone.locator(".st-key-lesson").get_by_role("slider")
    expect(guess).to_have_count(1)
    wait_for_script(phone)
    guess.focus()
    guess.press("ArrowRight")
    expect(commit).to_be_enabled()
    commit.click()
    expect(commit).to_have_count(0)
    wall.select_option("#choose", "rare")
    expect(wall.locator(".answered")).to_contain_text(f"1 of {PHONES}")
    assert phone.locator(".st-key-why-rare").count() == 0
    expect(phone.get_by_role("button", name="Next", exact=True)).to_be_disabled()
    do(wall, "reveal")
    expect(phone.locator(".st-key-why-rare")).to_be_visible()
    wall.locator("#view-pace").click()
    wall.locator("#bring-many").click()
    phone.wait_for_function("() => location.search.includes('step=many')")
    other = opened(f"wall/{code}", viewport=WALL)
    expect(other.locator(".waits")).to_be_visible()
    expect(other.locator("header .code")).to_have_count(0)
    secret = wall.evaluate("code => JSON.parse(localStorage.getItem('resflow.room')).secrets[code]", code)
    own = opened(f"wall/{code}#teacher={secret}", viewport=WALL)
    expect(own.locator("header .code")).to_have_text(code)
    own.wait_for_function("secret => !location.href.includes(secret)", arg=secret)
    own.on("dialog", lambda dialog: dialog.accept())
    own.locator("#more summary").click()
    own.locator("#close").click()
    expect(wall.locator(".waits")).to_be_visible()
