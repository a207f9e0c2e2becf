"""What the server tells browsers about safety with every answer, and what it tells nobody; by real processes."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from app import security
from app.security import EMBED_VARIABLE, policy
from tests.page_client import open_page
from tests.served import ROOT, app_served, process_served, served

LIGHT = "blocks=1&width=4&batch=50"
SITE = "https://lecture.example.org"


def answer(url, method="GET", **headers):
    """Status, headers and body, of refusals too."""
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as found:
            return found.status, found.headers, found.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read()


def sources(headers):
    """The policy: each directive's sources."""
    (told,) = headers.get_all("Content-Security-Policy")
    return {name: rest.split() for name, _, rest in (part.partition(" ") for part in told.split("; "))}


def assert_guarded(headers, *sites):
    assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert headers.get_all("Referrer-Policy") == ["same-origin"]
    found = sources(headers)
    assert found["frame-ancestors"] == ["'self'", *sites]
    assert found["default-src"] == found["base-uri"] == ["'none'"]
    for name, allowed in found.items():
        # Nothing from elsewhere, and no script that stands in the page.
        assert name == "frame-ancestors" or all(re.fullmatch(r"'[^*]+'|blob:|data:", one) for one in allowed)
    assert "'unsafe-inline'" not in found["script-src"] and "'unsafe-eval'" not in found["script-src"]
    assert "data:" not in found["script-src"]


def test_every_answer_is_guarded(server):
    status, headers, body = answer(server.url)
    assert status == 200
    assert_guarded(headers)
    script = re.search(r'src="\./(static/js/[^"]+)"', body.decode())[1]
    for path in (
        script,
        "explore",
        "learn",
        "_stcore/health",
        "_stcore/host-config",
        "static/nothing.js",
        "media/nothing",
    ):
        assert_guarded(answer(f"{server.url}/{path}")[1])
    for method in ("HEAD", "OPTIONS", "POST", "PUT", "DELETE"):
        assert_guarded(answer(f"{server.url}/_stcore/health", method)[1])


def test_the_servers_figures_are_nobodys(server):
    for path in ("", "/", "?families=cache_memory_bytes"):
        for method in ("GET", "HEAD", "OPTIONS"):
            status, headers, body = answer(f"{server.url}/_stcore/metrics{path}", method)
            assert (status, body) == (404, b"")
            assert_guarded(headers)
    for path in (
        "//_stcore/metrics",
        "/_stcore//metrics",
        "/%5fstcore/metrics",
        "/_stcore/%6detrics",
        "/x/../_stcore/metrics",
    ):
        status, headers, _ = answer(f"{server.url}{path}")
        assert status >= 400 or headers.get_content_type() == "text/html"


def test_nobody_drives_the_app_without_a_page(server):
    assert answer(f"{server.url}/_stcore/agent/interact", "POST", **{"Content-Type": "application/json"})[0] >= 400


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """The app by plain `streamlit run` from another folder, below a path, in the frame of a lecture's page."""
    folder = tmp_path_factory.mktemp("elsewhere")
    main = str(ROOT / "app" / "main.py")
    with process_served(
        lambda port: ["-m", "streamlit", "run", main, "--server.port", str(port), "--server.baseUrlPath", "sub"],
        folder / "log",
        {"PYTHONPATH": "", EMBED_VARIABLE: SITE},
        folder=folder,
        base="/sub",
    ) as found:
        yield found


def test_streamlits_own_command_starts_the_same_app_from_any_folder(elsewhere):
    status, headers, _ = answer(f"{elsewhere.url}/")
    assert status == 200
    assert_guarded(headers, SITE)
    assert answer(f"{elsewhere.url}/_stcore/metrics")[0] == 404

    async def opened():
        async with open_page(elsewhere.url, "explore", LIGHT) as page:
            return page.exceptions, page.texts()

    exceptions, texts = asyncio.run(opened())
    assert not exceptions
    assert any("How does a residual flow learn a density?" in text for text in texts)


def test_this_machine_only_from_any_folder_too(elsewhere):
    with pytest.raises(OSError):  # who listens to all addresses listens to this one
        socket.create_connection(("127.0.0.2", elsewhere.port), timeout=5).close()


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


def test_the_app_says_at_once_that_a_site_is_none():
    words = [sys.executable, "-m", "app", "--embed", "https://a.example/lecture"]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert found.returncode == 2
    assert "https://a.example/lecture" in found.stderr and "Traceback" not in found.stderr


def test_scripts_in_streamlits_page_are_known_by_their_contents(monkeypatch):
    before = policy()
    page = "<script>other()</script><script src='a.js'></script><script>more()</script>"
    monkeypatch.setattr(security, "index_page", lambda: page)
    assert policy() != before
    assert policy().count("'sha256-") == 2


def test_it_stops_when_it_is_told_to_though_a_page_is_open(tmp_path):
    async def stopped():
        async with open_page(found.url, "explore", LIGHT):
            found.process.send_signal(signal.SIGINT)
            return await asyncio.to_thread(found.process.wait, 60)

    with app_served(tmp_path / "log") as found:
        assert asyncio.run(stopped()) == 0
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log and "Aborted" not in log
