"""Who may ask and show the app, and who asks: the headers of every answer, names of the server, sites with a frame,
proxies and options. What a real server answers: `tests/hostile/test_headers.py`."""

import re
import socket

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app import engine
from app.__main__ import options, port_problem
from app.callers import FORWARDING, UVICORN_TRUSTS, caller, trust
from app.hosts import hosts, name_of
from app.security import EMBED_VARIABLE, Guard
from tests.app.pages import named

SITE = "https://lecture.example.org"
BAD = [
    "*", "https://*.example.org", "lecture.example.org", "https://a.example/lecture", "javascript:alert(1)", "'self'",
    "https://a.example; script-src *", "https://user@a.example", "https://a.example\r\nSet-Cookie: a=b", "x" * 5000,
]  # fmt: skip


async def answer(request):
    return PlainTextResponse("there", headers={"x-content-type-options": "nonsense"})


async def live(socket):
    await socket.accept()
    await socket.send_text("there")
    await socket.close()


@pytest.fixture(scope="module")
def client():
    """The server's guard before an app that answers everything, as it is asked by its own name."""
    app = Starlette(routes=[WebSocketRoute("/live", live), Route("/{path:path}", answer)])
    app.add_middleware(Guard, embed=SITE, names="flows.example.org")
    with TestClient(app, base_url="http://flows.example.org") as client:
        yield client


def assert_guarded(headers):
    assert headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert headers.get_list("Referrer-Policy") == ["same-origin"]
    (told,) = headers.get_list("Content-Security-Policy")
    found = {name: rest.split() for name, _, rest in (part.partition(" ") for part in told.split("; "))}
    assert found["frame-ancestors"] == ["'self'", SITE]
    assert found["default-src"] == found["base-uri"] == found["form-action"] == ["'none'"]
    for name, allowed in found.items():
        # Nothing from elsewhere, and no script that stands in the page.
        assert name == "frame-ancestors" or all(re.fullmatch(r"'[^*]+'|blob:|data:", one) for one in allowed)
    assert {"'unsafe-inline'", "'unsafe-eval'", "data:"}.isdisjoint(found["script-src"])
    assert sum(one.startswith("'sha256-") for one in found["script-src"]) == 1  # of Streamlit's own line


def test_every_answer_is_guarded_and_the_servers_figures_are_nobodys(client):
    found = client.get("/explore")
    assert (found.status_code, found.text) == (200, "there")
    assert_guarded(found.headers)
    for path in ("/_stcore/metrics", "/_stcore/metrics/", "/below/_stcore/metrics"):
        found = client.get(path)
        assert (found.status_code, found.text) == (404, "")
        assert_guarded(found.headers)


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("flows.example.org:80", True),
        ("localhost:8501", True),
        ("10.0.0.1", True),
        ("evil.example", False),
        ("", False),
    ],
)
def test_who_asks_by_another_name_is_not_answered_by_either_way(client, host, is_ours):
    found = client.get("/explore", headers={"host": host})
    assert found.status_code == (200 if is_ours else 421) and ("there" in found.text) == is_ours
    assert_guarded(found.headers)
    if is_ours:
        with client.websocket_connect("/live", headers={"host": host}) as socket:
            assert socket.receive_text() == "there"
    else:
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/live", headers={"host": host}):
            pass


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_site_is_refused_with_what_is_allowed(text):
    with pytest.raises(ValueError, match="https://lecture") as refused:
        Guard(None, text)
    said = str(refused.value)
    assert EMBED_VARIABLE in said and len(said) < 400 and said.isprintable()
    assert any(word[:20] in said for word in text.split())


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("localhost:8501", "localhost"),
        ("flows.example.org.", "flows.example.org"),
        ("[::1]:8501", "::1"),
        ("", ""),
        ("[", ""),
        ("a@evil.example", "evil.example"),
    ],
)
def test_the_name_in_a_header(asked, name):
    assert name_of(asked) == name


@pytest.mark.parametrize("wrong", ["http://flows.example.org", "flows.example.org:8501", "*", "a b/c"])
def test_what_is_no_name_is_refused(wrong):
    with pytest.raises(ValueError, match=r"flows\.example\.org"):
        hosts(wrong)


def asked(client, server="10.0.0.1", **headers):
    told = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Request({"type": "http", "client": (client, 50000), "server": (server, 8501), "headers": told})


@pytest.mark.parametrize(
    ("client", "local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.0.0.1", True),  # the server's own address: the machine asks itself
        ("10.0.0.2", False),
        ("", False),
    ],
)
def test_this_machine_is_who_connects_from_it(client, local):
    assert caller(asked(client)).is_local is local


@pytest.mark.parametrize("name", sorted(FORWARDING))
def test_who_sends_a_forwarding_header_is_never_this_machine(name):
    assert not caller(asked("127.0.0.1", **{name: "127.0.0.1"})).is_local
    assert not caller(asked("10.0.0.1", **{name: "for=127.0.0.1"})).is_local


@pytest.mark.parametrize(
    ("client", "address"),
    [
        ("10.0.0.2", "10.0.0.2"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.2", "10.0.0.2"),
    ],
)
def test_an_ipv6_network_is_one_visitor(client, address):
    assert caller(asked(client)).address == address


def test_proxies_are_addresses_or_networks():
    environment = {}
    trust("10.0.0.5, 10.1.0.0/16 ::1", environment)
    assert environment == {UVICORN_TRUSTS: "10.0.0.5,10.1.0.0/16,::1"}
    trust("", environment)
    assert environment == {UVICORN_TRUSTS: ""}
    for wrong in ("proxy.example.org", "*", "10.0.0.5/8", "10.0.0.256"):
        with pytest.raises(ValueError, match=r"10\.0\.0\.5"):
            trust(wrong, environment)
    assert environment == {UVICORN_TRUSTS: ""}


def test_a_port_that_is_no_port_or_taken_is_named_with_what_to_do(monkeypatch):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        taken = s.getsockname()[1]
        problem = port_problem("127.0.0.1", taken)
    assert {str(taken), f"http://localhost:{taken}", "--port"} <= named(problem)
    for port in (-1, 0, 65536):
        assert {"--port", str(port), "1", "65535"} <= named(port_problem("127.0.0.1", port))


def test_options_come_from_the_command_else_from_the_environment(monkeypatch):
    for variable in (engine.WORKERS_VARIABLE, engine.CLUSTER_VARIABLE, EMBED_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    found = options([])
    assert (found.address, found.port, found.workers, found.cluster, found.embed) == ("127.0.0.1", 8501, "", "", "")
    monkeypatch.setenv(engine.WORKERS_VARIABLE, "3")
    monkeypatch.setenv(engine.CLUSTER_VARIABLE, "10.0.0.1:6379")
    monkeypatch.setenv(EMBED_VARIABLE, "https://a.example")
    found = options([])
    assert (found.workers, found.cluster, found.embed) == ("3", "10.0.0.1:6379", "https://a.example")
    found = options(["--workers", "2", "--cluster", "local", "--embed", ""])
    assert (found.workers, found.cluster, found.embed) == ("2", "local", "")
