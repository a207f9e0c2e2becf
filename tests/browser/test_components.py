"""How the app's components are called, and how their modules come to a browser."""

from pathlib import Path

import pytest

from app import web
from tests.browser.conftest import after_next_picture, wait_for_script
from tests.served import ROOT, process_served, served, wait_for

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


@pytest.fixture
def page(chromium):
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def fulfil(route, script):
    route.fulfill(body=script, content_type="text/javascript")


def test_a_component_whose_module_loads_late_is_called_with_the_newest_data_alone(address, page):
    page.route(MODULE, lambda route: fulfil(route, LATE))
    page.goto(address)
    wait_for(lambda: page.evaluate("'loaded' in window"), "the module to be under way, with the first data")
    for count in (2, 3, 4):
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


def test_a_module_that_does_not_come_is_asked_for_again_and_the_page_says_so_meanwhile(address, page):
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
    assert told.count() == 1, "it is said once"
    page.get_by_role("button", name="more").click()
    page.get_by_text("count 2").wait_for()
    wait_for(lambda: page.locator("p").count() and len(refused) >= 2, "the browser to ask again")
    is_away = False
    wait_for(lambda: page.evaluate("window.shown?.length"), "a call")
    assert page.evaluate("window.shown") == [2]
    assert told.count() == 0
    page.get_by_role("button", name="more").click()
    wait_for(lambda: page.evaluate("window.shown.length === 2"), "a call with other data, without another load")
    assert page.evaluate("window.shown") == [2, 3]


BASE = "/below/here"


@pytest.fixture(scope="module")
def below(tmp_path_factory):
    """The app below a path of its server."""
    log = tmp_path_factory.mktemp("below") / "log"
    main = str(ROOT / "app" / "main.py")
    command = ["-m", "streamlit", "run", main, "--server.baseUrlPath", BASE.strip("/"), "--server.port"]
    with process_served(lambda port: [*command, str(port)], log, base=BASE) as server:
        yield server


SHOWN = "document.querySelector('.live-panes')?.dataset.step"
LOADED = """() => performance.getEntriesByType("resource").filter(({ name }) => name.includes("/web/"))
    .map(({ name, transferSize }) => [name, transferSize])"""


def test_a_page_below_a_path_loads_each_module_once_and_another_visit_none(below, chromium):
    context = chromium.new_context()
    visits = []
    for _ in range(2):
        page = context.new_page()
        page.goto(f"{below.url}/explore")
        wait_for(lambda page=page: page.evaluate(SHOWN), "the first picture")
        # Parts of the page may come after it.
        wait_for_script(page)
        page.wait_for_load_state("networkidle")
        page.evaluate("() => Promise.all(Object.values(window.resflowModules)).then(() => {})")
        visits.append(page.evaluate(LOADED))
        page.close()
    context.close()
    first, second = visits
    site, prefix = below.url.removesuffix(BASE), f"{BASE}/web/{web.HASH}/"
    loaded = [name.removeprefix(f"{site}{prefix}") for name, _ in first]
    come = [name for name, (_, size) in zip(loaded, first, strict=True) if size > 0]  # else from the browser's cache
    assert set(loaded) <= set(web.FILES)
    assert sorted(come) == sorted(set(loaded)), "what page and worker both load comes once"
    assert {"live/panes.js", "canvas/ticks.js", "take/take.css", "flow/worker.js"} <= set(loaded)
    assert {name for name, _ in second} == {name for name, _ in first}
    assert not any(size for _, size in second)
