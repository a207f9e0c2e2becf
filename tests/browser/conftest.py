"""The real app, its own server and worker, in Debian's Chromium. Waits are for steps and states, never for speed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import ElementHandle, Page, sync_playwright

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 60
BUSY_SECONDS = 1.2  # more than from one look at a run to the next
_LATE = """ms => {
  const setTimeout = window.setTimeout;
  window.setTimeout = (call, after, ...rest) => setTimeout(call, after || ms, ...rest);
  setTimeout(() => { window.setTimeout = setTimeout; }, ms);
}"""

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SMALL = "blocks=4&width=32&batch=100"  # steps are cheap, and everything else is as ever


@dataclass(frozen=True)
class Server:
    url: str
    process: subprocess.Popen

    def worker_pids(self) -> list[int]:
        table = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
        rows = [line.split(None, 2) for line in table.stdout.splitlines()]
        return [int(p) for p, parent, args in rows if int(parent) == self.process.pid and "app.engine.worker" in args]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    port = free_port()
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as out:
        command = [sys.executable, "-m", "app", "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(url) or process.poll() is not None, "the server to answer")
        assert process.poll() is None, log.read_text()
        yield Server(url, process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


@contextmanager
def served(script: Path, log: Path) -> Iterator[str]:
    """The address of a page with nothing but what `script` shows, while it is served."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=out, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(url) or process.poll() is not None, f"{script.name} to be served")
        assert process.poll() is None, log.read_text()
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).status == 200
    except OSError:
        return False


def wait_for(condition: Callable[[], object], what: str) -> object:
    """The first true value of `condition`; fails when a minute has passed."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited a minute for {what}"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="session")
def chromium():
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert path, "The browser tests need Chromium: sudo apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """One person's browser on the page, with what went over the wire and what the console said."""

    page: Page
    problems: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    bytes_received: int = 0

    def open(self, url: str) -> "Visitor":
        self.page.goto(url)
        self.wait("root.dataset.step !== ''", "the first picture")
        return self

    def data(self, name: str) -> str:
        """A counter of the live picture."""
        return self.page.evaluate(f"document.querySelector('.live-panes').dataset.{name}")

    def picture(self) -> ElementHandle:
        """The live picture that stands now: one that is built anew is another."""
        return self.page.locator(".live-panes").element_handle()

    @property
    def step(self) -> int:
        return int(self.data("step"))

    def wait(self, condition: str, what: str) -> None:
        code = f"() => {{ const root = document.querySelector('.live-panes'); return root && ({condition}); }}"
        try:
            self.page.wait_for_function(code, timeout=1000 * DEADLINE_SECONDS)
        except Exception as error:
            raise AssertionError(f"waited a minute for {what}; the console said {self.problems}") from error

    def wait_for_step(self, step: int) -> None:
        self.wait(f"Number(root.dataset.step) >= {step}", f"step {step}")

    def press(self, name: str) -> None:
        """A click between two runs of the script: one of them may build the button anew."""
        self.wait_for_script()
        self.page.get_by_role("button", name=name, exact=True).click()

    def press_late(self, name: str) -> None:
        """A click in a browser so busy that the page's clock calls the server before the click is sent."""
        self.wait_for_script()
        self.page.evaluate(_LATE, 1000 * BUSY_SECONDS)
        self.page.get_by_role("button", name=name, exact=True).click()
        self.page.wait_for_timeout(2000 * BUSY_SECONDS)

    def wait_for_script(self) -> None:
        state = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState"
        self.page.wait_for_function(f"() => {state} === 'notRunning'", timeout=1000 * DEADLINE_SECONDS)

    def range_of(self, pane: str) -> list[float]:
        """What the x axis of a pane shows."""
        plot = f"document.querySelector('[data-pane={pane}] .live-plot')"
        return self.page.evaluate(f"[...{plot}._fullLayout.xaxis.range]")


@pytest.fixture
def visit(server, chromium):
    """Open the page as a new person: `visit(query)`, with keyword arguments of a browser context."""
    contexts = []

    def enter(query: str = SMALL, path: str = "/explore", routed=None, picture=True, **context) -> Visitor:
        contexts.append(chromium.new_context(**{"viewport": {"width": 1440, "height": 900}} | context))
        visitor = Visitor(contexts[-1].new_page())
        page = visitor.page
        page.on("pageerror", lambda error: visitor.problems.append(f"uncaught: {error}"))
        page.on("console", lambda m: visitor.problems.append(m.text) if m.type == "error" else None)
        page.on("request", lambda request: visitor.requested.append(request.url))

        def received(frame):
            visitor.bytes_received += len(frame)

        if routed:
            page.route_web_socket("**/*", routed)
        page.on("websocket", lambda socket: socket.on("framereceived", received))
        url = f"{server.url}{path}?{query}"
        if picture:
            return visitor.open(url)
        page.goto(url)
        return visitor

    yield enter
    for context in contexts:
        context.close()
