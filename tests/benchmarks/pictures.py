"""How live the picture is: the real server, clients that read its channel as browsers do, and one real Chromium.

Clients open Explore, press Play and read what comes; a page's own script is run as often as the page asks for it. The
server's time is that of the process which serves the pages, with all that it does meanwhile, by the picture delivered.
In Chromium, without a graphics processor: frames of the browser while a flow plays, the time that drawing takes in
them, and the bytes of a page load. A first picture on Explore and on the home page is waited for in turns. Chromium,
server and clients share this machine. --resting opens so many pages more, on which nothing plays. It fails where
nothing was measured.

    python -m tests.benchmarks.pictures [--pages 1 16 24] [--seconds 15] [--loads 5] [--resting 0]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.benchmarks.measured import cpu_seconds, measured
from tests.benchmarks.resting import opened
from tests.browser.conftest import chromium_options
from tests.page_client import open_page
from tests.served import Server, app_served, wait_for

DEADLINE_SECONDS = 120.0
WARM_SECONDS = 4.0
LIVE = "document.querySelector('.live-panes')"
DRAWN = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((v) => v > 0)"
WINDOW = {"width": 1440, "height": 900}


@contextmanager
def serving() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder, app_served(Path(folder) / "log") as server:
        yield server


# By clients


@dataclass(frozen=True)
class Watched:
    """Of one page: when its pictures came, and how long after Play the first of another step than before."""

    pictures: tuple[float, ...]
    first: float


async def watch(url: str, playing: asyncio.Barrier, until: asyncio.Event) -> Watched:
    came: list[float] = []
    async with open_page(url, "explore", patience=DEADLINE_SECONDS) as page, page.pictures() as pictures:
        asked = time.monotonic()
        await page.play()

        async def read() -> None:
            async for step in pictures:
                if step:
                    came.append(time.monotonic())

        reading = asyncio.create_task(read())
        polling = asyncio.create_task(page.watch(until))
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not came:
                await asyncio.sleep(0.01)
            await playing.wait()
        await until.wait()
        reading.cancel()
        await polling
    return Watched(tuple(came), came[0] - asked)


async def watched(server: Server, pages: int, seconds: float, resting: int) -> str:
    """A row of the table."""
    until, playing = asyncio.Event(), asyncio.Barrier(pages + 1)
    async with asyncio.TaskGroup() as group, opened(server.url, resting, until):
        visits = [group.create_task(watch(server.url, playing, until)) for _ in range(pages)]
        async with asyncio.timeout(DEADLINE_SECONDS):
            await playing.wait()
        await asyncio.sleep(WARM_SECONDS)
        start, before = time.monotonic(), cpu_seconds(server.process.pid)
        await asyncio.sleep(seconds)
        took, spent = time.monotonic() - start, cpu_seconds(server.process.pid) - before
        until.set()
    found = [visit.result() for visit in visits]
    counts = [sum(start <= moment <= start + took for moment in one.pictures) for one in found]
    measured([{"pictures": sum(counts), "seconds of the server": spent}], f"{pages} pages")
    rates = sorted(count / took for count in counts)
    return (
        f"| {pages} | {statistics.mean(rates):.1f} | {rates[0]:.1f} | {1e3 * found[0].first:.0f} "
        f"| {1e3 * spent / sum(counts):.1f} |"
    )


# In a browser

FRAMES = """seconds => new Promise(done => {
    const root = document.querySelector('.live-panes');
    const [pictures, steps, drawing] = [root.dataset.frames, root.dataset.step, root.live.drawing].map(Number);
    const start = performance.now();
    let [frames, last, longest] = [0, start, 0];
    requestAnimationFrame(function frame() {
        const now = performance.now();
        [frames, longest, last] = [frames + 1, Math.max(longest, now - last), now];
        if (now - start < 1000 * seconds) requestAnimationFrame(frame);
        else done({
            frames: frames / seconds, longest, pictures: (root.dataset.frames - pictures) / seconds,
            steps: root.dataset.step - steps, drawing: (root.live.drawing - drawing) / frames,
        });
    });
})"""


def played(browser: Browser, server: Server, seconds: float) -> str:
    """A row of the table: one page of Explore in Chromium, which plays."""
    page = browser.new_context(viewport=WINDOW).new_page()
    page.goto(f"{server.url}/explore", timeout=1e3 * DEADLINE_SECONDS)
    picture_on(page)
    page.get_by_role("button", name="Play", exact=True).first.click()
    page.wait_for_function(f"() => Number({LIVE}.dataset.step) > 0", timeout=1e3 * DEADLINE_SECONDS)
    page.wait_for_timeout(1e3 * WARM_SECONDS)
    found = page.evaluate(FRAMES, seconds)
    page.context.close()
    measured([found], "frames in Chromium")
    return (
        f"| {found['frames']:.0f} | {found['longest']:.0f} | {found['pictures']:.1f} | {found['drawing']:.1f} "
        f"| {found['steps'] / seconds:.0f} |"
    )


def picture_on(page: Page) -> None:
    page.wait_for_function(f"() => {LIVE}?.dataset.frames > 0", timeout=1e3 * DEADLINE_SECONDS)


def loaded(browser: Browser, server: Server, loads: int) -> tuple[float, float, float]:
    """Bytes of a warm load of Explore, and the median seconds to a first picture there and on the home page."""
    context = browser.new_context(viewport=WINDOW)
    seconds: dict[str, list[float]] = {"explore": [], "": []}
    taken = []
    for _ in range(1 + loads):
        for path, times in seconds.items():
            page = context.new_page()
            bytes_ = counted(page)
            start = time.monotonic()
            page.goto(f"{server.url}/{path}")
            if path:
                picture_on(page)
            else:
                replay = page.locator(".replay-plane canvas").first
                wait_for(lambda canvas=replay: canvas.count() and canvas.evaluate(DRAWN), "the home page's picture")
            times.append(time.monotonic() - start)
            page.wait_for_timeout(500)
            if path:
                taken.append(sum(bytes_))
            page.close()
    context.close()
    measured([{"bytes": one} for one in taken], "loads of Explore")
    explore, home = (statistics.median(times[1:]) for times in seconds.values())  # without the first, which is cold
    return statistics.median(taken[1:]), explore, home


def counted(page: Page) -> list[int]:
    """What comes to a page by the network: the bodies of what is fetched, as they travel, and of its sockets."""
    found: list[int] = []
    tools = page.context.new_cdp_session(page)
    tools.send("Network.enable")
    tools.on("Network.loadingFinished", lambda event: found.append(int(event["encodedDataLength"])))
    page.on("websocket", lambda socket: socket.on("framereceived", lambda data: found.append(len(data))))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="*", default=[1, 16, 24])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--loads", type=int, default=5)
    parser.add_argument("--resting", type=int, default=0)
    args = parser.parse_args()
    if args.pages:
        print("| pages | pictures/s a page | fewest | Play to a new picture, ms | server CPU ms a picture |")
        print("|---|---|---|---|---|")
    for pages in args.pages:
        with serving() as server:
            print(asyncio.run(watched(server, pages, args.seconds, args.resting)), flush=True)
    with serving() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium_options())
        print(
            "\n| browser frames/s | longest gap, ms | pictures/s | drawing ms a frame | steps/s |"
            "\n|---|---|---|---|---|"
        )
        print(played(browser, server, args.seconds), flush=True)
        if args.loads:
            size, explore, home = loaded(browser, server, args.loads)
            print(f"\nA warm load of Explore: {size / 1e6:.2f} MB. First picture: {explore:.2f} s, home {home:.2f} s, "
                  f"{explore / home:.2f} of it.")  # fmt: skip
        browser.close()


if __name__ == "__main__":
    main()
