"""What Share gives: an address that others can open, a code that holds the link, a frame, and a link for a class."""

import json
import socket
from contextlib import contextmanager
from html.parser import HTMLParser
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import segno
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import network, security
from app.components.qr import MOST_BYTES, code_of
from app.components.share import MOST_IN_VIEW, view_in
from app.link import names, read_link
from app.network import Reach, Shared, network_address, shared
from app.ui.share import closes, for_board, frame_of
from tests.app.pages import MAIN, SMALL, finding, own, said

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


def test_an_address_of_one_link_is_nobody_elses(monkeypatch):
    networks(monkeypatch, v6="fe80::1%eth0")
    assert network_address(socket.AF_INET6) is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "0.0.0.0", "app.localhost"])
@pytest.mark.parametrize("listens_on", ["0.0.0.0", "", "::"])
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


def test_a_machine_without_a_network_says_so(monkeypatch):
    networks(monkeypatch)
    assert shared(HERE, "") == Shared(HERE, Reach.NO_NETWORK)


@pytest.mark.parametrize(
    "url", ["https://lab.example.org/explore", "http://192.168.1.9:8501/", "http://[fd12::9]/", ""]
)
@pytest.mark.parametrize("listens_on", ["127.0.0.1", "", "0.0.0.0"])
def test_an_address_that_others_have_stays_as_it_is(url, listens_on):
    assert shared(url, listens_on) == Shared(url, Reach.AS_HERE)


# --- code, frame, view ------------------------------------------------------------------------------------------------


def test_a_code_is_segnos_with_its_margin():
    link = "http://192.168.1.23:8501/explore?blocks=4&data=moons"
    code, same = code_of(link), segno.make_qr(link, error="l")
    assert code.modules == len(same.matrix) + 8
    assert code.image == same.svg_data_uri(border=4, light="#fff", omitsize=True)
    assert code.image.startswith("data:image/svg+xml")


def test_a_code_holds_what_it_says_and_no_more():
    assert code_of("x" * MOST_BYTES).modules == 177 + 8
    assert code_of("x" * (MOST_BYTES + 1)) is None


def frames(html):
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.append((tag, dict(attributes)))

    Reader().feed(html)
    return found


def test_a_frame_shows_the_link_alone_and_can_fill_the_screen():
    link = "http://192.168.1.23:8501/explore?" + urlencode({"csv.name": 'a&b "><script>', "blocks": "4"})
    ((tag, attributes),) = frames(frame_of(link))
    assert tag == "iframe"
    assert attributes["src"] == f"{link}&embed=true"
    assert {name: attributes[name] for name in ("allow", "loading", "width", "height")} == {
        "allow": "fullscreen",
        "loading": "lazy",
        "width": "100%",
        "height": "640",
    }
    assert attributes["title"]


def test_of_the_browsers_address_only_the_view_is_taken():
    assert view_in("view.data=0+1+2+3&blocks=9&view.layers=&lipschitz.view=norms") == {
        "view.data": "0 1 2 3",
        "view.layers": "",
    }
    assert view_in(f"view.x={'1' * MOST_IN_VIEW}") == {}


def test_what_a_link_closes_is_said():
    known = names()
    some = closes(["bench.law", "batch"])
    assert known["batch"] in some and known["bench.law"] in some and "Every other setting is closed" in some
    assert "Every setting is closed" in closes([])


# --- on a page --------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(monkeypatch):
    """What a browser has as the page's address, and what the server listens on."""

    @contextmanager
    def at(url, listens_on):
        get = st.get_option
        with monkeypatch.context() as patch:
            patch.setattr(type(st.context), "url", property(lambda _: url))
            patch.setattr(st, "get_option", lambda name: listens_on if name == "server.address" else get(name))
            yield

    return at


def opened(section, screen="explore", suffix="", **query):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in (SMALL | query).items():
        page.query_params[name] = value
    page = page.switch_page(f"features/{screen}/{screen}.py").run()
    page.session_state[f"share{suffix}"] = True
    page.session_state[f"share.section{suffix}"] = section
    page = page.run()
    assert not page.exception, page.exception
    return page


def turned(page, section):
    """The same with another section of Share, of which it has one at a time."""
    page.session_state["share.section"] = section
    page = page.run()
    assert not page.exception, page.exception
    return page


def components(page, name):
    found = [e.proto for e in page.main if e.type == "bidi_component" and e.proto.component_name == name]
    return [json.loads(proto.json) for proto in found]


def query(link):
    return dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))


pages = pytest.mark.usefixtures("local_engine")


@pytest.mark.thorough
@pages
def test_every_section_gives_the_address_on_the_network_and_what_is_looked_at(served, monkeypatch):
    networks(monkeypatch, v4="192.168.1.23")
    parts = {"Link": ("link", 0), "QR code": ("qr", 1), "Embed": ("embed", 0), "For a class": ("class", 1)}
    with served("http://localhost:8501/base/explore", "0.0.0.0"):
        page = opened("Link")
        for section, (name, codes) in parts.items():
            page = turned(page, section)
            assert "view.data" not in query(address(page, section))
            assert own(page).setup == read_link(query(address(page, section))).setup
            assert finding(page, Shared).reach is Reach.NETWORK
            drawn = components(page, "resflow_qr")
            assert [code["image"] for code in drawn] == [code_of(address(page, section)).image] * codes

            page.session_state[f"share.{name}"] = {"view": "view.data=0+1&blocks=9"}
            link = address(page := turned(page, section), section)
            assert link.startswith("http://192.168.1.23:8501/base/explore?") and "localhost" not in link
            assert query(link)["view.data"] == "0 1" and read_link(query(link)).setup == own(page).setup
            drawn = components(page, "resflow_qr")
            assert [code["image"] for code in drawn] == [code_of(link).image] * codes


def address(page, section):
    (field,) = components(page, "resflow_share")
    return frames(field["text"])[0][1]["src"] if section == "Embed" else field["text"]


@pages
def test_a_link_that_only_this_machine_opens_says_so(served):
    with served("http://127.0.0.1:8501/explore", "127.0.0.1"):
        page = opened("Link")
        for section in ("Link", "QR code", "For a class"):
            page = turned(page, section)
            assert finding(page, Shared) == Shared("http://127.0.0.1:8501/explore", Reach.CLOSED)
            assert any("make app ADDRESS=0.0.0.0" in warning.value for warning in page.warning)
            assert len(components(page, "resflow_share")) == (section != "For a class")  # a class could not open it


@pages
def test_a_link_that_no_code_holds_is_still_there_to_copy(served):
    with served(f"https://lab.example.org/{'x' * MOST_BYTES}/explore", ""):
        page = opened("QR code")
    (field,) = components(page, "resflow_share")
    assert not components(page, "resflow_qr")
    assert any(f"{MOST_BYTES:,}" in w.value and f"{len(field['text']):,}" in w.value for w in page.warning)


@pages
def test_embedding_says_which_sites_may(served, monkeypatch):
    with served("http://192.168.1.9:8501/explore", "0.0.0.0"):
        monkeypatch.setenv(security.EMBED_VARIABLE, "https://a.example.org http://b.example.org:8000")
        texts = " ".join(said(opened("Embed")))
        assert "https://a.example.org" in texts and "http://b.example.org:8000" in texts and "--embed" in texts


@pages
def test_a_class_link_closes_what_it_says(served):
    with served("http://192.168.1.9:8501/dimensions", "0.0.0.0"):
        memory = {"dimensions.view": "memory"}
        page = opened("For a class", "dimensions", ".memory", **memory)
        page = page.multiselect(key="class.controls").set_value(["batch", "memory.log"]).run()
        assert not page.exception, page.exception
        (field,) = components(page, "resflow_share")
        given = read_link(query(field["text"]))
        assert given.controls == ("batch", "memory.log") and not given.refused
        assert closes(given.controls) in said(page)
        assert len(field["text"]) < 140 and for_board(field["text"]) in said(page)

        # Who opens it is offered these alone, and is not asked to close more.
        other = opened("Link", "dimensions", ".memory", controls="batch memory.log", **memory)
        assert own(other).offered == {"batch", "memory.log"}
        assert closes(given.controls) in said(other)
        (field,) = components(other, "resflow_share")
        assert read_link(query(field["text"])).controls == given.controls
        assert [tab.label for tab in other.tabs] == ["Link", "QR code", "Embed"]
