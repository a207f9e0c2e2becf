"""What Share gives: an address that others can open, a code that holds the link, a frame, and a link for a class."""

import socket
from types import SimpleNamespace

import pytest

from app import network
from app.components.share import MOST_IN_VIEW, view_in
from app.network import Reach, Shared, network_address, shared

HERE = "http://localhost:8501/base/explore"


# --- the address ------------------------------------------------------------------------------------------------------


def networks(monkeypatch, **addresses):
    """The machine's own addresses on its way out, by the kind of socket: IPv4, IPv6."""
    kinds = {socket.AF_INET: addresses.get("v4"), socket.AF_INET6: addresses.get("v6")}

    class Datagrams:
        def __init__(self, family, kind):
            assert kind == socket.SOCK_DGRAM
            self.own = kinds[family]

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def connect(self, _):
            if self.own is None:
                raise OSError("Network is unreachable")

        def getsockname(self):
            return (self.own, 50_000)

    only_here = {name: getattr(socket, name) for name in ("SOCK_DGRAM", "AF_INET", "AF_INET6")}
    monkeypatch.setattr(network, "socket", SimpleNamespace(socket=Datagrams, **only_here))


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ("192.168.1.23", "192.168.1.23"),
        ("127.0.0.1", None),
        ("0.0.0.0", None),
        ("169.254.7.7", None),  # of a machine that was given none
        (None, None),
    ],
)
def test_the_machines_address_is_one_that_others_can_use(monkeypatch, own, found):
    networks(monkeypatch, v4=own)
    assert network_address(socket.AF_INET) == found


@pytest.mark.parametrize(
    ("host", "listens_on"), [("localhost", "0.0.0.0"), ("127.8.8.8", ""), ("[::1]", "::"), ("app.localhost", "")]
)
def test_this_machines_own_address_becomes_the_networks_with_port_and_path(monkeypatch, host, listens_on):
    networks(monkeypatch, v4="192.168.1.23", v6="fd12::3")
    found = shared(f"http://{host}:8501/base/explore", listens_on)
    assert found == Shared("http://192.168.1.23:8501/base/explore", Reach.NETWORK)


def test_without_ipv4_it_is_ipv6_if_the_server_listens_to_it(monkeypatch):
    networks(monkeypatch, v6="fd12::3")
    assert shared(HERE, "") == Shared("http://[fd12::3]:8501/base/explore", Reach.NETWORK)
    assert shared(HERE, "0.0.0.0") == Shared(HERE, Reach.NO_NETWORK)


def test_one_of_several_addresses_is_the_one_that_the_server_listens_on(monkeypatch):
    networks(monkeypatch, v4="192.168.1.23")
    assert shared(HERE, "10.0.0.7").url == "http://10.0.0.7:8501/base/explore"
    assert shared("http://localhost/", "lab.example.org") == Shared("http://lab.example.org/", Reach.NETWORK)


@pytest.mark.parametrize("listens_on", ["127.0.0.1", "localhost", "::1", "unix:///run/app.sock"])
def test_a_server_for_this_machine_alone_is_closed_and_its_link_stays(monkeypatch, listens_on):
    networks(monkeypatch, v4="192.168.1.23")
    assert shared(HERE, listens_on) == Shared(HERE, Reach.CLOSED)


@pytest.mark.parametrize(
    "url", ["https://lab.example.org/explore", "http://192.168.1.9:8501/", "http://[fd12::9]/", ""]
)
def test_an_address_that_others_have_stays_as_it_is(url):
    assert all(shared(url, listens_on) == Shared(url, Reach.AS_HERE) for listens_on in ("127.0.0.1", "", "0.0.0.0"))


# --- code, frame, view ------------------------------------------------------------------------------------------------


def test_of_the_browsers_address_only_the_view_is_taken():
    assert view_in("view.data=0+1+2+3&blocks=9&view.layers=&lipschitz.view=norms") == {
        "view.data": "0 1 2 3",
        "view.layers": "",
    }
    assert view_in(f"view.x={'1' * MOST_IN_VIEW}") == {}


# --- on a page --------------------------------------------------------------------------------------------------------
