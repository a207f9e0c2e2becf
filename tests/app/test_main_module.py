"""What `python -m app` makes of its options, before anything is started."""

import socket

import pytest

from app import engine, security
from app.__main__ import options, port_problem
from tests.app.pages import named


@pytest.fixture
def taken():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        yield s.getsockname()[1]


def test_a_free_port_is_no_problem(taken):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        free = s.getsockname()[1]
    assert free != taken
    assert port_problem("127.0.0.1", free) is None


def test_a_port_that_is_taken_is_named_with_the_next(taken):
    problem = port_problem("127.0.0.1", taken)
    assert {str(taken), f"http://localhost:{taken}", "--port", str(taken + 1)} <= named(problem)


def test_the_last_port_has_no_next(monkeypatch):
    def refuse(self, address):
        raise OSError("taken")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert {"65535", "--port", "65534"} <= named(port_problem("127.0.0.1", 65535))


@pytest.mark.parametrize("port", [-1, 0, 65536, 70000])
def test_a_number_that_is_no_port_is_refused_with_the_limits(port):
    assert {"--port", str(port), "1", "65535"} <= named(port_problem("127.0.0.1", port))


def test_workers_come_from_the_option_else_from_the_environment(monkeypatch):
    monkeypatch.delenv(engine.WORKERS_VARIABLE, raising=False)
    assert options([]).workers == ""
    monkeypatch.setenv(engine.WORKERS_VARIABLE, "3")
    assert options([]).workers == "3"
    assert options(["--workers", "2"]).workers == "2"


def test_a_cluster_comes_from_the_option_else_from_the_environment(monkeypatch):
    monkeypatch.delenv(engine.CLUSTER_VARIABLE, raising=False)
    assert options([]).cluster == ""
    monkeypatch.setenv(engine.CLUSTER_VARIABLE, "10.0.0.1:6379")
    assert options([]).cluster == "10.0.0.1:6379"
    assert options(["--cluster", "local"]).cluster == "local"


def test_sites_that_may_show_it_come_from_the_option_else_from_the_environment(monkeypatch):
    monkeypatch.delenv(security.EMBED_VARIABLE, raising=False)
    assert options([]).embed == ""
    monkeypatch.setenv(security.EMBED_VARIABLE, "https://a.example")
    assert options([]).embed == "https://a.example"
    assert options(["--embed", ""]).embed == ""


def test_without_options_it_is_this_machine_only():
    assert (options([]).address, options([]).port) == ("127.0.0.1", 8501)
