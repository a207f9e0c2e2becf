"""The real app, its own server and worker, in Debian's Chromium. Waits are for steps and states, never for speed."""

import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from app import web
from tests.served import DEADLINE_SECONDS, app_served, free_port, served, wait_for

MOST_MS = 1000 * DEADLINE_SECONDS
expect.set_options(timeout=MOST_MS)
CALM_FRAMES = 5


def box_at_rest(locator) -> dict[str, float]:
    """Where it is in the window, once nothing has moved it for some frames: a mouse goes to places, not to elements."""
    return locator.evaluate(
        """(element, frames) => new Promise((done) => {
            let [last, calm] = ["", 0];
            const look = () => {
                const { x, y, width, height } = element.getBoundingClientRect();
                const now = [x, y, width, height].join();
                calm = now === last ? calm + 1 : 0;
                last = now;
                if (calm < frames) requestAnimationFrame(look);
                else done({ x, y, width, height });
            };
            look();
        })""",
        CALM_FRAMES,
    )


def after_next_picture(page: Page) -> None:
    """Wait until the browser has drawn what it was told so far: what is told is drawn at most once a picture."""
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")


def wait_for_script(page: Page) -> None:
    """Until Streamlit's script has ended: what is clicked or typed while it draws the page anew may be lost."""
    state = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState"
    page.wait_for_function(f"() => {state} === 'notRunning'")


def number(text: str) -> float:
    """Of a text, with a minus sign as in print."""
    return float(text.replace("\N{MINUS SIGN}", "-").replace(",", ""))


def uploaded(visitor: "Visitor", inside: str, name: str, data: bytes) -> None:
    """Give a file to the uploader inside an element."""
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    visitor.page.locator(f"{inside} input[type=file]").set_input_files(file)


def zoom_wheel(page: Page, turned: float) -> None:
    """A turn of the wheel that zooms what is under the pointer; without Control it scrolls the page."""
    page.keyboard.down("Control")
    page.mouse.wheel(0, turned)
    page.keyboard.up("Control")


# Each window loads three pages for the bar of its address, which nobody sees: a quarter of all that a new page costs.
# The others are Playwright's own list, as far as it concerns these tests: the last such option holds alone.
UNUSED = (
    "WebUIOmniboxPopup",
    "WebUIOmniboxFullPopup",
    "WebUIOmniboxAimPopup",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "MediaRouter",
    "OptimizationHints",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
)
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(UNUSED)}",
]


def chromium_options() -> dict[str, Any]:
    """How Playwright launches the machine's Chromium."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert path, "This needs Chromium: sudo apt-get install chromium"
    return {"executable_path": path, "args": CHROMIUM}


SMALL = "blocks=4&width=32&batch=100"  # steps are cheap, and everything else is as ever


@pytest.fixture(scope="session")
def lecturer_port():
    """Of a site on localhost that may show the app in a frame; no other may."""
    return free_port()


@pytest.fixture(scope="session")
def server(tmp_path_factory, lecturer_port):
    options = ("--embed", f"http://localhost:{lecturer_port}")
    with app_served(tmp_path_factory.mktemp("server") / "log", options) as app:
        yield app


@pytest.fixture(scope="session")
def planes_address(tmp_path_factory):
    """Of `planes_app.py`."""
    script = Path(__file__).with_name("planes_app.py")
    with served(script, tmp_path_factory.mktemp("planes") / "log") as url:
        yield url


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium_options())
        yield browser
        browser.close()


MODULES = "http://modules.test/"
"""A site that has nothing but empty pages and the files of `app/web`."""


def blank_page(chromium, body: str = "", *, at: str = "") -> Page:
    """A page of a new context that can import modules."""
    page = chromium.new_context().new_page()

    def answered(route):
        name = urlsplit(route.request.url).path.removeprefix("/web/")
        if name in web.FILES:
            route.fulfill(body=web.FILES[name], content_type=web.TYPES[Path(name).suffix])
        else:
            route.fulfill(body=f"<!doctype html><title>blank</title><body>{body}</body>", content_type="text/html")

    page.route(f"{MODULES}**", answered)
    page.goto(f"{MODULES}{at}")
    return page


def with_modules(page: Page, *names: str) -> None:
    """All that these modules of `app/web` export, as names of a blank page."""
    page.evaluate(
        """(addresses) => Promise.all(addresses.map(async (one) => Object.assign(window, await import(one))))""",
        [f"/web/{name}" for name in names],
    )


@dataclass
class Visitor:
    """One person's browser on the page, with what went over the wire and what the console said."""

    page: Page
    problems: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def open(self, url: str) -> "Visitor":
        self.page.goto(url)
        self.wait("root.dataset.step !== ''", "the first picture")
        return self

    @property
    def complaints(self) -> list[str]:
        """What the console said, but that Streamlit looks for its server below a screen's address first."""
        return [problem for problem in self.problems if "404" not in problem]

    def data(self, name: str) -> str:
        """A counter of the live picture."""
        return self.page.evaluate(f"document.querySelector('.live-panes').dataset.{name}")

    @property
    def step(self) -> int:
        return int(self.data("step"))

    def wait(self, condition: str, what: str) -> None:
        """Until the condition holds. What is not there yet, as after a reload, is waited for like the rest."""
        there = f"try {{ return root && ({condition}); }} catch (error) {{ return false; }}"
        code = f"() => {{ const root = document.querySelector('.live-panes'); {there} }}"
        try:
            self.page.wait_for_function(code)
        except Exception as error:
            raise AssertionError(f"waited in vain for {what}; the console said {self.problems}") from error

    def wait_for_step(self, step: int) -> None:
        self.wait(f"Number(root.dataset.step) >= {step}", f"step {step}")

    @property
    def query(self) -> dict[str, str]:
        """What the address says."""
        return dict(parse_qsl(self.page.evaluate("location.search.slice(1)"), keep_blank_values=True))

    @property
    def url(self) -> str:
        """The address; Playwright's own is that of the last event that it has looked at."""
        return self.page.evaluate("location.href")

    def wait_for_query(self, **expected: str) -> None:
        wait_for(lambda: self.query.items() >= expected.items(), f"the address to say {expected}")

    def press(self, name: str) -> None:
        """A click between two runs of the script: one of them may build the button anew."""
        self.wait_for_script()
        self.page.get_by_role("button", name=name, exact=True).click()

    def press_until(self, name: str, seen: Locator, seconds: float) -> None:
        """Press until something is there: a press can be lost to what the page is just hearing of its run."""

        def there() -> bool:
            self.press(name)
            try:
                seen.wait_for(timeout=1000 * seconds)
            except PlaywrightTimeoutError:
                return False
            return True

        wait_for(there, f"what {name} shows")

    def go(self, title: str, group: str = "") -> None:
        """To another screen, by the navigation."""
        within = self.page if group else self.page.get_by_test_id("stTopNav")  # Home has links of the same names
        link = within.get_by_role("menuitem" if group else "link", name=title, exact=True)

        def opened() -> bool:
            self.page.locator(".stAppHeader").get_by_text(group, exact=True).click()
            try:
                link.click(timeout=3000)
            except PlaywrightTimeoutError:  # it was drawn anew, and closed, by what the page was just hearing
                return False
            return True

        if group:
            wait_for(opened, f"the screens of {group!r}")
        else:
            link.click()

    def choose(self, name: str, option: str) -> None:
        """Of a box that drops down; again where its list was drawn anew as it opened, or as it was clicked."""
        listed = self.page.get_by_role("option", name=option, exact=True)

        def chosen() -> bool:
            self.page.get_by_role("combobox", name=name).click()
            try:
                listed.click(timeout=3000)
            except PlaywrightTimeoutError:
                return False
            return True

        wait_for(chosen, f"{option} of {name}")

    def all_settings(self) -> None:
        """Unfold those that are not in sight."""
        fold = self.page.locator(".st-key-all_settings, .stExpander", has_text="All settings").locator("details").first
        if not fold.evaluate("details => details.open"):
            fold.locator("summary").click()

    def wait_for_script(self) -> None:
        wait_for_script(self.page)

    def range_of(self, pane: str) -> list[float]:
        """What the x axis of a pane shows."""
        plot = f"document.querySelector('[data-pane={pane}] .live-plot')"
        return self.page.evaluate(f"[...{plot}.surface.picture.x.range]")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A test that fails says what its pages showed."""
    report = (yield).get_result()
    if not report.failed or not (chromium := item.funcargs.get("chromium")):
        return
    for page in (page for context in chromium.contexts for page in context.pages):
        with suppress(PlaywrightError):
            report.sections.append((f"Page at {page.url}", page.locator("body").inner_text(timeout=5_000)))


@pytest.fixture
def visit(server, chromium):
    """Open the page as a new person: `visit(query)`, with keyword arguments of a browser context."""
    contexts = []

    def enter(query: str = SMALL, path: str = "/explore", routed=None, picture=True, **context) -> Visitor:
        contexts.append(chromium.new_context(**{"viewport": {"width": 1440, "height": 900}} | context))
        contexts[-1].set_default_timeout(MOST_MS)
        visitor = Visitor(contexts[-1].new_page())
        page = visitor.page
        page.on("pageerror", lambda error: visitor.problems.append(f"uncaught: {error}"))
        page.on("console", lambda m: visitor.problems.append(m.text) if m.type == "error" else None)
        page.on("request", lambda request: visitor.requested.append(request.url))

        if routed:
            page.route_web_socket("**/*", routed)
        url = f"{server.url}{path}?{query}"
        if picture:
            return visitor.open(url)
        page.goto(url)
        return visitor

    yield enter
    for context in contexts:
        context.close()


@contextmanager
def lecture(html: str, port: int = 0) -> Iterator[int]:
    """The port on this machine of a page of another site."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_):
            pass

    # Chromium opens connections on which it asks nothing; one after the other, they would keep the site from answering.
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Page) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        try:
            yield site.server_port
        finally:
            site.shutdown()
