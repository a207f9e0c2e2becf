"""A server that is killed while a page plays, and started again: the page comes back, and says so."""

from playwright.sync_api import expect, sync_playwright

from tests.browser.conftest import SMALL, chromium_options
from tests.served import DEADLINE_SECONDS, app_served, wait_for

NOTICE = "The server was restarted"


def test_a_page_says_that_the_server_was_restarted_and_all_of_it_shows_one_step(tmp_path):
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(**chromium_options())
        page = chromium.new_page()
        page.set_default_timeout(1000 * DEADLINE_SECONDS)

        def shown():
            """The steps of the plane, of the numbers, of the line beside the buttons, and of the address."""
            return page.evaluate("""() => [
                document.querySelector('.live-panes')?.dataset.step,
                document.querySelector('[data-readout=step] .live-value')?.innerText,
                document.querySelector('.stApp').innerText.match(/^step ([0-9,]+)/m)?.[1],
                new URLSearchParams(location.search).get('at'),
            ].map((text) => Number((text ?? '').replace(',', '')))""")

        with app_served(tmp_path / "first") as server:
            port = server.port
            page.goto(f"{server.url}/explore?{SMALL}")
            page.get_by_role("button", name="Play", exact=True).click()
            wait_for(lambda: shown()[3] > 50, "an address with its step")
            assert page.get_by_text(NOTICE).count() == 0
            server.process.kill()
        with app_served(tmp_path / "second", port=port):
            expect(page.get_by_text(NOTICE)).to_be_visible(timeout=1000 * DEADLINE_SECONDS)
            page.get_by_role("button", name="Play", exact=True).wait_for()
            step = wait_for(lambda: len(set(shown())) == 1 and shown()[0], "one step everywhere")
            assert step > 50
            assert f"{step:,}" in page.get_by_text(NOTICE).inner_text()
        chromium.close()
