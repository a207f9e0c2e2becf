"""The client without a browser that the tests and benchmarks of this folder stand on: what it presses counts, and what
is not there is missed."""

import asyncio

import pytest

from tests.page_client import open_page
from tests.shown_page import Unexpected

LIGHT = "blocks=2&width=4&batch=50"
MOST_POLLS = 60


def test_what_is_played_advances(server):
    async def played():
        async with open_page(server.url, "explore", LIGHT) as page:
            assert page.step == 0
            await page.play()
            for _ in range(MOST_POLLS):
                await page.poll()
                if page.step > 20:
                    break
                await asyncio.sleep(page.interval / 10)
            await page.press("Pause")
            return page.step, page.exceptions

    step, exceptions = asyncio.run(played())
    assert step > 20
    assert not exceptions


def test_steps_are_counted_once_for_each_click(server):
    async def stepped():
        async with open_page(server.url, "explore", LIGHT) as page:
            for _ in range(3):
                await page.press("1 step")
            for _ in range(MOST_POLLS):
                await page.poll()
                if page.step == 3:
                    break
            await page.poll()
            return page.step

    assert asyncio.run(stepped()) == 3


def test_a_link_is_followed_and_the_address_is_kept(server):
    async def opened():
        async with open_page(server.url, "explore", "blocks=3&width=nonsense") as page:
            await page.poll()
            return page.shown.query, page.texts()

    query, texts = asyncio.run(opened())
    assert "blocks=3" in query
    assert any("nonsense" in text for text in texts)


def test_a_call_of_the_clock_stays_on_its_page(server):
    async def polled():
        async with open_page(server.url, "estimator", LIGHT) as page:
            before = page.shown.address
            for _ in range(2):
                await page.poll()
            return before, page.shown.address, [node.element.tag for node in page.shown.of_kind("heading")]

    before, after, headings = asyncio.run(polled())
    assert before == after == "estimator"
    assert headings.count("h1") == 1


def test_what_widgets_show_is_sent_and_changes_nothing(server):
    async def pressed():
        async with open_page(server.url, "explore", LIGHT) as page:
            before = page.shown.query
            assert len(page.shown.state().widget_states.widgets) > 10
            await page.press("1 step")
            await page.load("explore", page.shown.query)
            return before, page.shown.query

    before, after = asyncio.run(pressed())
    assert before == after


@pytest.mark.parametrize(
    ("path", "act"),
    [
        ("explore", lambda page: page.press("Plya")),
        ("glossary", lambda page: page.play()),
        ("glossary", lambda page: page.poll()),
    ],
    ids=["a button of another name", "a page without buttons", "a page without a clock"],
)
def test_what_is_not_there_is_missed(server, path, act):
    async def tried():
        async with open_page(server.url, path, LIGHT) as page:
            await act(page)

    with pytest.raises(Unexpected, match="expected"):
        asyncio.run(tried())


def test_a_page_without_a_flow_has_no_step(server):
    async def looked():
        async with open_page(server.url, "glossary") as page:
            return page.step

    with pytest.raises(Unexpected, match="expected"):
        asyncio.run(looked())


def test_a_watched_page_is_polled_until_it_is_enough(server):
    async def watched():
        async with open_page(server.url, "explore", LIGHT) as page:
            await page.play()
            enough = asyncio.Event()
            watching = asyncio.create_task(page.watch(enough))
            async with asyncio.timeout(MOST_POLLS):
                while page.step < 20:
                    await asyncio.sleep(0.1)
            enough.set()
            await watching
            await page.press("Pause")
            return page.answers

    assert asyncio.run(watched()) > 1
