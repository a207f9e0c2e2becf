"""The server answers to its own names, and to addresses."""

import socket

import pytest

from app.hosts import hosts, is_known, name_of, own_names


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("localhost:8501", "localhost"),
        ("LOCALHOST", "localhost"),
        ("flows.example.org.", "flows.example.org"),
        ("[::1]:8501", "::1"),
        ("10.0.0.1:8501", "10.0.0.1"),
        ("", ""),
        ("http://[", "http"),
        ("[", ""),
        ("a@evil.example", "evil.example"),
    ],
)
def test_the_name_in_a_header(asked, name):
    assert name_of(asked) == name


@pytest.mark.parametrize("name", ["localhost", "a.localhost", "127.0.0.1", "10.1.2.3", "::1", "flows.example.org"])
def test_addresses_and_names_that_were_told_are_known(name):
    assert is_known(name, hosts("Flows.Example.org, other"))


@pytest.mark.parametrize(
    "name",
    ["", "evil.example", "localhost.evil.example", "notlocalhost", "flows.example.org.evil", "127.0.0.1.evil"],
)
def test_other_names_are_not(name):
    assert not is_known(name, hosts("flows.example.org"))
    assert name not in own_names()


def test_the_machine_knows_its_own_names():
    assert {socket.gethostname().lower(), socket.getfqdn().lower()} <= own_names()


@pytest.mark.parametrize("wrong", ["http://flows.example.org", "flows.example.org:8501", "*", "a b/c"])
def test_what_is_no_name_is_refused(wrong):
    with pytest.raises(ValueError, match=r"flows\.example\.org"):
        hosts(wrong)
