"""Who asks is who the connection says, and a header is believed of proxies alone."""

import pytest
from starlette.requests import Request

from app.callers import FORWARDING, UVICORN_TRUSTS, caller, trust


def asked(client, server="10.0.0.1", **headers):
    told = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Request({"type": "http", "client": (client, 50000), "server": (server, 8501), "headers": told})


@pytest.mark.parametrize(
    ("client", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("10.0.0.1", True),  # the server's own address: the machine asks itself
        ("10.0.0.2", False),
        ("8.8.8.8", False),
        ("testclient", False),
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
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.2", "10.0.0.2"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_network_is_one_visitor(client, address):
    assert caller(asked(client)).address == address


def test_a_connection_without_an_address_is_somebody():
    assert not caller(Request({"type": "http", "client": None, "server": None, "headers": []})).is_local


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
