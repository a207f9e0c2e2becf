"""Every link gives a page: with a heading, without an exception, and the server goes on answering."""

import asyncio
from dataclasses import dataclass

import pytest

from app import screens  # noqa: F401  # it fills the registries
from app.lessons.observables import MOVED
from app.ui.scene import POLL_SECONDS
from tests.hostile.links import SCREENS, SETTINGS, Attack, attacks
from tests.page_client import open_page
from tests.served import answers

ATTACKS = attacks()
FAILURES = ("Traceback (most recent call last)", "An unexpected error")


@dataclass(frozen=True)
class Seen:
    headings: list[str]
    texts: list[str]
    exceptions: list[str]
    arrived: str
    left: str
    missing: bool


async def opened(url: str, attack: Attack) -> Seen:
    """The page that a link gives, as it is after its clock has called once."""
    async with open_page(url, attack.path, attack.query) as page:
        arrived, missing = page.shown.address, page.shown.missing
        if page.shown.clocks and page.interval >= POLL_SECONDS:  # a faster clock measures, until it is done
            await page.poll()
        headings = [node.element.body for node in page.shown.of_kind("heading")]
        return Seen(headings, page.texts(), page.exceptions, arrived, page.shown.address, missing)


def arrival(attack: Attack, seen: Seen) -> str:
    """The page to which an attack leads. A lesson leads to the screen of its step, a former address to where its screen
    is now. Unknown pages lead home, and home leads to Explore if the link sets anything."""
    if attack.kind == "lessons":
        return seen.arrived
    path = "" if seen.missing else attack.path
    if path in MOVED:
        return MOVED[path].screen
    return SETTINGS if not path and attack.query else path


def test_there_are_enough_of_them():
    assert len(ATTACKS) >= 150
    assert {attack.path for attack in ATTACKS.values()} >= set(SCREENS)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_hostile_link_gives_a_page(server, attack):
    said_before = len(server.log.read_text(errors="replace"))
    seen = asyncio.run(opened(server.url, attack))
    said = server.log.read_text(errors="replace")[said_before:]

    assert seen.headings
    assert not seen.exceptions
    assert not [text for text in (*seen.texts, said) for failure in FAILURES if failure in text]
    assert seen.missing == (attack.path not in SCREENS)
    assert seen.arrived == seen.left == arrival(attack, seen)
    assert answers(server.url)
