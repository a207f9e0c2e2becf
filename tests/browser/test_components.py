"""How the app's components are called."""

from pathlib import Path

import pytest

from tests.browser.conftest import after_next_picture
from tests.served import served, wait_for


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with served(Path(__file__).with_name("late_app.py"), tmp_path_factory.mktemp("late") / "log") as url:
        yield url


def test_a_component_whose_script_loads_late_is_called_with_the_newest_data_alone(address, chromium):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(address)
    wait_for(lambda: page.evaluate("'loaded' in window"), "the script to be under way, with the first data")
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
    context.close()
