"""Pages that are open beside those that are measured, and on which nothing plays: a class that reads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from app.ui.fragments import REST_SECONDS
from tests.page_client import open_page

AT_ONCE = 8
PATIENCE_SECONDS = 120.0


@asynccontextmanager
async def opened(url: str, pages: int, until: asyncio.Event, by_weights: bool = False) -> AsyncIterator[None]:
    """So many pages of Explore, all open and at rest, whose clocks call as often as they ask for it, until `until`.
    Their pictures are the server's, or they draw by weights."""
    door, all_open = asyncio.Semaphore(AT_ONCE), asyncio.Barrier(pages + 1)

    async def rest() -> None:
        async with AsyncExitStack() as stack:
            async with door:
                page = await stack.enter_async_context(open_page(url, "explore", patience=PATIENCE_SECONDS))
            # So that the engine hears that it is there.
            await stack.enter_async_context(page.weights() if by_weights else page.pictures())
            while page.interval < REST_SECONDS:
                await asyncio.sleep(page.interval)
                await page.poll()
            await all_open.wait()
            await page.watch(until)

    async with asyncio.TaskGroup() as group:
        for _ in range(pages):
            group.create_task(rest())
        await all_open.wait()
        yield
