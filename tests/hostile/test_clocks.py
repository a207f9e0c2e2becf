"""A page whose run stands still is called seldom, and as often as ever once somebody does something."""

import asyncio

import pytest

from app.session.run import CALM_POLLS
from app.ui.fragments import REST_SECONDS
from app.ui.scene import POLL_SECONDS
from tests.page_client import open_page

pytestmark = pytest.mark.slow
PATIENCE_SECONDS = 60.0


async def until(page, condition):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await page.poll()


@pytest.mark.parametrize("path", ["explore", "estimator", "lipschitz", "activations"])
def test_a_page_at_rest_is_called_seldom_and_wakes_at_a_click(server, path):
    async def visit():
        async with open_page(server.url, path) as page:
            await until(page, lambda: page.interval == REST_SECONDS)
            if path != "explore":
                return
            await page.play()
            assert page.interval == POLL_SECONDS
            step = page.step
            await until(page, lambda: page.step > step)
            assert page.interval < REST_SECONDS
            await page.press("Pause")
            for _ in range(2 * CALM_POLLS):
                await page.poll()
                assert page.interval < REST_SECONDS  # or the engine takes the page, and what it trained, for left
            async with page.pictures():
                await until(page, lambda: page.interval == REST_SECONDS)

    asyncio.run(visit())


def test_a_clock_that_calls_while_the_page_changes_does_not_empty_the_new_one(server):
    """Its call names the page on which it was made, and is answered when the next one is there."""

    async def visit():
        async with open_page(server.url, "learn", {"lesson": "believes", "step": "mass"}) as page:
            await until(page, lambda: page.shown.address == "explore" and page.interval == POLL_SECONDS)
            for label, screen in (("Next", "estimator"), ("Back", "explore")) * 2:
                await page.press_amid_calls(label, screen)
                for _ in range(5):
                    await page.poll()
                assert page.shown.address == screen and page.texts() and not page.exceptions

    asyncio.run(visit())
