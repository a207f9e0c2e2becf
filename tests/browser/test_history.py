"""Back and Forward against a server that answers late: what the browser's module tells it, without Streamlit."""

import json

from app.components.browser import ENTRY
from tests.browser.conftest import blank_page, with_modules

STEPS = ("explore?step=mass", "lipschitz?step=certify")


def shown(chromium):
    """A page that has shown these steps, of two screens, one after the other; `told` is what its server heard."""
    page = blank_page(chromium, at=STEPS[0])
    page.clock.install()
    with_modules(page, "browser/history.js")
    page.evaluate(
        """([first, second]) => {
            window.told = [];
            window.browser = { tell: (name, { entry }) => told.push(entry), returned: null, arrives: false };
            const { pushState, replaceState } = history;
            replaceState.call(history, { entry: "p.1", written: true }, "", first);
            pushState.call(history, { entry: "p.2", written: true }, "", second);
            tidyHistory(browser);
            hearReturns(browser);
            hearEntry(browser, "p.2");
        }""",
        STEPS,
    )
    return page


def step_through(page, to):
    page.evaluate(
        f"new Promise(done => {{ addEventListener('popstate', () => done(), {{ once: true }}); history.{to}() }})"
    )


def hear(page, entry):
    """The server says where it is, on the screen that is open."""
    page.evaluate(f"hearEntry(browser, {json.dumps(entry)})")


def told(page, seconds):
    """What the server hears within this time."""
    page.evaluate("told.length = 0")
    page.clock.run_for(1000 * seconds)
    return page.evaluate("told")


def forward_is_told_also_while_the_server_has_not_answered_to_back(page):
    step_through(page, "back")
    hear(page, "p.2")  # Streamlit has drawn the other screen
    assert set(told(page, 2)) == {"p.1"}
    step_through(page, "forward")
    hear(page, "p.1")
    assert set(told(page, 2)) == {"p.2"}


def back_is_told_until_the_server_is_there_and_no_longer(page):
    step_through(page, "back")
    assert set(told(page, 30)) == {"p.1"}, "a server that is slow to draw"
    hear(page, "p.1")
    assert told(page, 100) == []
    step_through(page, "forward")
    assert set(told(page, 30)) == {"p.2"}
    assert set(told(page, 100)) == {"p.2"}
    assert told(page, 100) == [], "a server that never answers"


def the_address_that_the_server_writes_late_on_another_screen_is_no_further_entry(page):
    page.evaluate("history.pushState({}, '', 'learn?step=certify&" + ENTRY + "=p.2@lipschitz')")
    page.clock.run_for(10_000)  # a busy server
    length = page.evaluate("history.length")
    page.evaluate("history.pushState({}, '', 'learn?step=mass&" + ENTRY + "=p.3@learn')")
    assert page.evaluate("[history.length, history.state.entry]") == [length, "p.3"]
    page.evaluate("history.pushState({}, '', 'learn?step=other&" + ENTRY + "=p.4@learn')")
    assert page.evaluate("[history.length, history.state.entry]") == [length + 1, "p.4"]


def an_address_that_the_server_writes_says_where_it_is_before_its_page_does(page):
    page.evaluate("history.pushState({}, '', 'lipschitz?step=next&" + ENTRY + "=p.3@lipschitz')")
    step_through(page, "back")
    assert set(told(page, 2)) == {"p.2"}


def what_the_server_writes_before_it_has_heard_of_back_is_not_the_address(page):
    step_through(page, "back")
    page.evaluate("history.pushState({}, '', 'explore?step=certify&" + ENTRY + "=p.2@explore')")
    assert page.evaluate("[location.search, history.state.entry]") == ["?step=mass", "p.1"]
    page.evaluate("history.pushState({}, '', 'explore?step=mass&at=5&" + ENTRY + "=p.1@explore')")
    assert page.evaluate("[location.search, history.state.entry]") == ["?step=mass&at=5", "p.1"]


def what_a_link_showed_is_an_entry_before_the_server_has_written_its_address(page):
    page.evaluate("""() => {
        History.prototype.replaceState.call(history, null, "", "lipschitz?step=certify");
        browser.entry = "";
        hearEntry(browser, "q.1");
        history.pushState({}, "", "lipschitz"); // as Streamlit leaves a screen
        history.pushState({}, "", "explore");
        hearEntry(browser, "q.2");
    }""")
    step_through(page, "back")
    assert page.evaluate("location.search") == "?step=certify"
    assert set(told(page, 2)) == {"q.1"}


def test_who_goes_back_and_forward_is_followed_and_the_history_is_as_long_as_it_should_be(chromium):
    for case in (
        forward_is_told_also_while_the_server_has_not_answered_to_back,
        back_is_told_until_the_server_is_there_and_no_longer,
        the_address_that_the_server_writes_late_on_another_screen_is_no_further_entry,
        an_address_that_the_server_writes_says_where_it_is_before_its_page_does,
        what_the_server_writes_before_it_has_heard_of_back_is_not_the_address,
        what_a_link_showed_is_an_entry_before_the_server_has_written_its_address,
    ):
        page = shown(chromium)
        case(page)
        page.context.close()
