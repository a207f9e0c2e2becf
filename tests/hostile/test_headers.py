"""What a real server answers and tells nobody, however it is started. Headers of every answer are tested in
`tests/app/test_security.py`."""

import asyncio
import json
import re
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from app.security import EMBED_VARIABLE, policy
from tests.page_client import open_page
from tests.served import ROOT, app_served, process_served, served

LIGHT = "blocks=1&width=4&batch=50"
SITE = "https://lecture.example.org"


def answer(url):
    """Status and headers, of refusals too."""
    try:
        with urllib.request.urlopen(url, timeout=20) as found:
            return found.status, found.headers
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers


def test_streamlits_own_command_starts_the_same_app_from_any_folder_below_a_path(tmp_path):
    """In the frame of a lecture's page, and for this machine only."""
    main = str(ROOT / "app" / "main.py")
    with process_served(
        lambda port: ["-m", "streamlit", "run", main, "--server.port", str(port), "--server.baseUrlPath", "sub"],
        tmp_path / "log",
        {"PYTHONPATH": "", EMBED_VARIABLE: SITE},
        folder=tmp_path,
        base="/sub",
    ) as elsewhere:
        for path, expected in (("/", 200), ("/explore", 200), ("/_stcore/health", 200), ("/_stcore/metrics", 404)):
            status, headers = answer(f"{elsewhere.url}{path}")
            assert (status, headers["Content-Security-Policy"]) == (expected, policy(SITE))
        with pytest.raises(OSError):  # who listens to all addresses listens to this one
            socket.create_connection(("127.0.0.2", elsewhere.port), timeout=5).close()

        async def played():
            async with open_page(elsewhere.url, "explore", LIGHT) as page, page.pictures() as pictures:
                await page.play()
                until = asyncio.Event()
                polling = asyncio.create_task(page.watch(until))
                async with asyncio.timeout(300):
                    steps = [await anext(pictures) for _ in range(3)]
                until.set()
                await polling
                return steps, page.exceptions

        steps, exceptions = asyncio.run(played())
    assert steps == sorted(set(steps)) and steps[-1] > 0 and not exceptions


def test_visitors_do_not_read_what_went_wrong_and_the_log_does(tmp_path):
    async def opened(url):
        async with open_page(url) as page:
            return page.exceptions, json.dumps([*page.texts(), *page.exceptions])

    with served(Path(__file__).with_name("broken_page.py"), tmp_path / "log") as url:
        exceptions, shown = asyncio.run(opened(url))
    assert len(exceptions) == 1
    assert not re.search("4711|ValueError|Traceback|broken_page|line [0-9]", shown)
    log = (tmp_path / "log").read_text()
    assert "ValueError: secret 4711" in log and "broken_page.py" in log


def test_it_stops_when_it_is_told_to_though_a_page_is_open(tmp_path):
    async def stopped():
        async with open_page(found.url, "explore", LIGHT):
            found.process.send_signal(signal.SIGINT)
            return await asyncio.to_thread(found.process.wait, 60)

    with app_served(tmp_path / "log") as found:
        assert asyncio.run(stopped()) == 0
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log and "Aborted" not in log
