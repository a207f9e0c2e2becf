"""How the app's components are called, and how their modules come to a browser."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import after_next_picture, wait_for_script
from tests.served import served, wait_for

MODULE = "**/web/*/share/share.js*"
RECORDS = """export default ({ data }) => {
  (window.shown ??= []).push(data);
  return () => (window.cleaned ??= []).push(data);
};
"""
"""Writes down each of the data that it was called with, and the clean-ups."""
LATE = f"await new Promise((loaded) => {{ window.loaded = loaded; }});\n{RECORDS}"
"""The same, once `loaded()` is called."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with served(Path(__file__).with_name("late_app.py"), tmp_path_factory.mktemp("late") / "log") as url:
        yield url


def fulfil(route, script):
    route.fulfill(body=script, content_type="text/javascript")


def test_a_component_whose_module_is_late_or_away_is_called_with_the_newest_data_alone(address, chromium):
    context = chromium.new_context()
    page = context.new_page()
    page.route(MODULE, lambda route: fulfil(route, LATE))
    page.goto(address)
    wait_for(lambda: page.evaluate("'loaded' in window"), "the module to be under way, with the first data")
    for count in (2, 3, 4):
        wait_for_script(page)
        page.get_by_role("button", name="more").click()
        page.get_by_text(f"count {count}").wait_for()
        after_next_picture(page)
    page.evaluate("loaded()")
    wait_for(lambda: page.evaluate("window.shown?.length"), "a call")
    assert page.evaluate("window.shown") == [4]
    assert page.evaluate("window.cleaned ?? []") == []

    page.get_by_role("button", name="away").click()
    wait_for(lambda: page.evaluate("window.cleaned?.length"), "the clean-up")
    assert page.evaluate("[window.shown, window.cleaned]") == [[4], [4]]
    page.close()

    # One that does not come is asked for again, and the page says so meanwhile.
    page = context.new_page()
    refused = []
    is_away = True

    def answer(route):
        if is_away:
            refused.append(route.request.url)
            route.abort()
        else:
            fulfil(route, RECORDS)

    page.route(MODULE, answer)
    page.goto(address)
    told = page.get_by_text("This part of the page has not come yet")
    told.wait_for()
    wait_for_script(page)
    page.get_by_role("button", name="more").click()
    page.get_by_text("count 2").wait_for()
    wait_for(lambda: page.locator("p").count() and len(refused) >= 2, "the browser to ask again")
    is_away = False
    wait_for(lambda: page.evaluate("window.shown?.length"), "a call")
    assert page.evaluate("window.shown") == [2]
    expect(told).to_have_count(0)
    page.get_by_role("button", name="more").click()
    wait_for(lambda: page.evaluate("window.shown.length === 2"), "a call with other data, without another load")
    assert page.evaluate("window.shown") == [2, 3]
    context.close()
