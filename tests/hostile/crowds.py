"""Crowds of visitors: clients that open pages of one server at once, and poll as browsers do."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.engine.reports import State
from tests.page_client import PageClient, open_page
from tests.shown_page import STEP

SCREENS = ("explore", "lipschitz", "explore", "estimator", "explore", "activations", "explore", "stretch")
"""What a crowd opens, in turns: screens that draw flows, and some that do not."""

PATIENCE_SECONDS = 240.0
WITHOUT_FLOW = re.compile(r":gray\[(\w+) …\]")  # the line of numbers of a run that has no flow yet


@dataclass
class Visitor:
    """A page, and what it went through."""

    screen: str
    page: PageClient | None = None
    dropped: bool = False  # whether it ever said that its run was dropped
    places: list[str] = field(default_factory=list)  # in the queue: what it said, newest last
    silent: int = 0  # times that it was queued and said nothing with a number
    exceptions: set[str] = field(default_factory=set)

    @property
    def state(self) -> str:
        """What the line of numbers says: "step" of a run that has a flow, the `State` of one that has none, "" where no
        run is looked at, or before the page is there."""
        for text in self.page.texts() if self.page else ():
            if STEP.search(text):
                return "step"
            if found := WITHOUT_FLOW.fullmatch(text):
                return found[1]
        return ""

    @property
    def is_served(self) -> bool:
        """Whether the page is there, and knows what became of its run, where one is looked at."""
        return self.page is not None and self.state != State.LOADING

    @property
    def step(self) -> int:
        """The newest of the flow that is looked at; 0 where there is none."""
        return self.page.step if self.state == "step" else 0

    def look(self) -> None:
        """Take down what the page shows now."""
        shown = self.page.shown
        self.exceptions.update(shown.exceptions)
        said = [node.element.body for node in shown.of_kind("alert")]
        self.dropped |= self.state == State.EXPIRED
        if self.state == State.QUEUED:
            numbered = [text for text in said if re.search(r"\d", text)]
            self.places += numbered
            self.silent += not numbered


async def visit(url: str, visitor: Visitor, until: asyncio.Event) -> None:
    """Open the page, look at it whenever the server has answered, and close it after the event."""
    async with open_page(url, visitor.screen, patience=PATIENCE_SECONDS) as page:
        visitor.page = page
        visitor.look()
        await page.watch(until, on_answer=visitor.look)
        visitor.look()


@asynccontextmanager
async def crowd(url: str, size: int) -> AsyncIterator[list[Visitor]]:
    """So many visitors, who all come at once, and leave when the context ends."""
    visitors = [Visitor(SCREENS[k % len(SCREENS)]) for k in range(size)]
    leave = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for visitor in visitors:
            group.create_task(visit(url, visitor, leave))
        try:
            yield visitors
        finally:
            leave.set()


@asynccontextmanager
async def playing(url: str, query: str = "") -> AsyncIterator[Visitor]:
    """Somebody who watches a flow train on Explore, from its first step on."""
    visitor, leave = Visitor("explore"), asyncio.Event()
    async with open_page(url, "explore", query, patience=PATIENCE_SECONDS) as page, asyncio.TaskGroup() as group:
        visitor.page = page
        await page.play()
        group.create_task(page.watch(leave, on_answer=visitor.look))
        try:
            await until(lambda: page.step > 0, "the first step", PATIENCE_SECONDS)
            yield visitor
        finally:
            leave.set()


async def until(condition: Callable[[], object], what: str, seconds: float) -> None:
    """Waits for a state; fails when `seconds` have passed."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"waited {seconds:g} s for {what}") from None
