"""How well one real Chromium draws a flow that plays, on Explore by the real server.

Frames of the browser, the longest time between two, the flow's pictures that it evaluates, the time that its drawing
takes of a frame, and the steps that the server takes meanwhile; as it is, and with the page's processor slowed down to
what that of a phone is (--throttle). Then the bytes of a load, and a first picture on Explore and on the home page,
waited for in turns. Chromium, which has no graphics processor here, and server share this machine. It fails where
nothing was measured. What many pages cost the server: `tests.benchmarks.sessions`.

    python -m tests.benchmarks.pictures [--throttle 1 4] [--seconds 15] [--loads 5]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.benchmarks.measured import measured
from tests.browser.conftest import chromium_options
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


def played(browser: Browser, server: Server, throttle: float, seconds: float) -> str:
    """A row of the table: one page of Explore in Chromium, which plays, on a processor that is slower by `throttle`."""
    page = browser.new_context(viewport=WINDOW).new_page()
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": throttle})
    page.goto(f"{server.url}/explore", timeout=1e3 * DEADLINE_SECONDS)
    picture_on(page)
    page.get_by_role("button", name="Play", exact=True).first.click()
    page.wait_for_function(f"() => Number({LIVE}.dataset.step) > 0", timeout=1e3 * DEADLINE_SECONDS)
    page.wait_for_timeout(1e3 * WARM_SECONDS)
    found = page.evaluate(FRAMES, seconds)
    page.context.close()
    measured([found], "frames in Chromium")
    return (
        f"| {throttle:g} | {found['frames']:.0f} | {found['longest']:.0f} | {found['pictures']:.1f} "
        f"| {found['drawing']:.1f} | {found['steps'] / seconds:.0f} |"
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
    parser.add_argument("--throttle", type=float, nargs="+", default=[1.0, 4.0])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--loads", type=int, default=5)
    args = parser.parse_args()
    with serving() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium_options())
        print("| slower | browser frames/s | longest gap, ms | pictures/s | drawing ms a frame | steps/s |")
        print("|---|---|---|---|---|---|")
        for throttle in args.throttle:
            print(played(browser, server, throttle, args.seconds), flush=True)
        if args.loads:
            size, explore, home = loaded(browser, server, args.loads)
            print(f"\nA warm load of Explore: {size / 1e6:.2f} MB. First picture: {explore:.2f} s, home {home:.2f} s, "
                  f"{explore / home:.2f} of it.")  # fmt: skip
        browser.close()


if __name__ == "__main__":
    main()
