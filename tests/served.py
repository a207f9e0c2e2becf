"""The app, or one page, served by a process of its own on this machine, and waiting for what it does."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
WORKS = "resflow-trains"  # `app.engine.worker.__main__.WORKS`, which would import torch
DEADLINE_SECONDS = 180  # that a state may take to come on a busy machine


@dataclass(frozen=True)
class Server:
    url: str
    process: subprocess.Popen
    log: Path

    @property
    def port(self) -> int:
        return urlsplit(self.url).port

    def worker_pids(self) -> list[int]:
        """Of those that work; a spare one waits beside them."""
        table = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True)
        rows = [line.split(None, 2) for line in table.stdout.splitlines()]
        return [int(pid) for pid, parent, name in rows if int(parent) == self.process.pid and name == WORKS]


@contextmanager
def app_served(
    log: Path, options: tuple[str, ...] = (), environment: Mapping[str, str] | None = None, port: int = 0
) -> Iterator[Server]:
    """The app, as by `python -m app`; its output goes to the file `log`."""
    arguments = ["-m", "app", *options]
    with process_served(lambda port: [*arguments, "--port", str(port)], log, environment, port=port) as server:
        yield server


@contextmanager
def served(script: Path, log: Path) -> Iterator[str]:
    """The address of a page with nothing but what `script` shows, while it is served."""
    alone = str(ROOT / "tests" / "browser" / "alone.py")
    with process_served(
        lambda port: ["-m", "streamlit", "run", alone, "--server.port", str(port)], log, {"ALONE": str(script)}
    ) as server:
        yield server.url


@contextmanager
def process_served(
    arguments: Callable[[int], list[str]],
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path = ROOT,
    base: str = "",
    port: int = 0,
) -> Iterator[Server]:
    """What Python serves when it is called in `folder` with these `arguments` for a port, 0: a free one, below the path
    `base`; its output goes to the file `log`."""
    port = port or free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, *arguments(port)], cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}{base}"
    try:
        wait_for(lambda: answers(url) or process.poll() is not None, "the server to answer")
        assert process.poll() is None, log.read_text()
        yield Server(url, process, log)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).status == 200
    except OSError:
        return False


def wait_for(condition: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS) -> object:
    """The first true value of `condition`; fails when `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.1)
    return value
