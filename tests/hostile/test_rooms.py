"""A hostile student: guesses codes, takes rooms and seats, and asks by another's name. By one real server."""

import asyncio
import http.client
import json
import re
import socket
import urllib.request
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import websockets

from app import web
from app.channel import REFUSED
from app.classroom.room import SEATS_OF_AN_ADDRESS
from app.classroom.rooms import MOST_WRONG_OF_ONE
from tests.served import app_served, process_served

LESSON = "roulette"
GUESSES = 400  # far fewer than a minute has time for
UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


@pytest.fixture
def line(tmp_path):
    """To a server of its own: what is tried here is remembered by address for a minute."""
    with app_served(tmp_path / "log") as server, line_to(server) as found:
        yield found


@contextmanager
def line_to(server):
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        yield Line(connection)


@dataclass(frozen=True)
class Line:
    """One connection that is kept."""

    connection: http.client.HTTPConnection

    def ask(self, method, path, body=None, **headers):
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        told = {"content-type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        self.connection.request(method, path, data, told)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if "json" in answer.getheader("content-type", "") else text, answer

    def open_room(self, **headers):
        return self.ask("POST", "/rooms", {"lesson": LESSON}, **headers)[:2]

    def join(self, code, token, **headers):
        return self.ask("POST", f"/rooms/{code}", {"do": "join"}, x_room_token=f"{token:032x}", **headers)


def opened(line):
    status, told = line.open_room()
    assert status == 200, told
    return told["code"], {"x_room_secret": told["secret"]}


def test_guessing_a_code_ends_before_the_right_one_is_looked_up(line):
    code, _ = opened(line)
    told = []
    for k in range(GUESSES):
        guess = code if k == GUESSES - 1 else "BCDF" + "GHJKLMNPQRSTVWXZ"[k % 16]
        assert guess != code or k == GUESSES - 1
        told.append(line.join(guess, k)[1].get("say"))
    assert told[:MOST_WRONG_OF_ONE] == ["refuses_code"] * MOST_WRONG_OF_ONE
    assert set(told[MOST_WRONG_OF_ONE:]) == {"refuses_wrong_codes"}


def test_strangers_open_no_rooms_and_the_key_does(line, tmp_path):
    key = re.search(r"key ([A-Z-]+)", (tmp_path / "log").read_text())[1]
    for headers in ({"x_forwarded_for": "127.0.0.1"}, {"forwarded": "for=127.0.0.1"}, {"x_real_ip": "::1"}):
        for _ in range(7):
            status, told = line.open_room(**headers)
            assert (status, told["say"]) == (409, "refuses_key")
        assert line.open_room(x_room_key=key, **headers)[0] == 200
    assert line.open_room()[0] == 200  # by this machine itself


def test_one_device_does_not_decide_a_vote(line):
    code, teacher = opened(line)
    _, _, answer = line.join(code, 1)
    cookie = answer.getheader("set-cookie").partition(";")[0]
    assert "httponly" in answer.getheader("set-cookie").lower()
    for k in range(2, 198):
        assert line.join(code, k, cookie=cookie)[0] == 200
    assert line.ask("GET", f"/rooms/{code}", **teacher)[1]["members"] == 1

    refused = [line.join(code, 1_000 + k)[1].get("say") for k in range(196)]  # without the cookie
    assert refused.count(None) == SEATS_OF_AN_ADDRESS - 1
    assert set(refused[SEATS_OF_AN_ADDRESS - 1 :]) == {"refuses_address"}

    def teach(**said):
        status, told, _ = line.ask("POST", f"/rooms/{code}", said, **teacher)
        assert status == 200, told
        return told

    question = line.ask("GET", f"/rooms/{code}", **teacher)[1]["questions"][0]["id"]
    teach(do="ask", question=question)
    asked = line.ask("GET", f"/rooms/{code}", x_room_token=f"{1_000:032x}")[1]["question"]
    given = asked["options"][0][0] if asked["options"] else asked["low"]
    for k in range(10):
        token = f"{1_000 + k:032x}"
        assert line.ask("POST", f"/rooms/{code}", {"do": "vote", "answer": given}, x_room_token=token)[0] == 200
    assert teach(do="look")["answered"] == 10
    assert teach(do="reset")["answered"] == 0
    assert teach(do="lock", locked=True)["locked"]
    assert line.join(code, 5_000, x_forwarded_for="10.0.0.9")[1]["say"] == "refuses_locked"
    told = teach(do="remove", first=2, last=10_000)
    assert (told["members"], told["addresses"]) == (1, [{"people": 1, "first": 1, "last": 1}])
    assert line.join(code, 1_000)[1]["say"] == "refuses_removed"


@pytest.mark.parametrize("answer", [rb'"\ud800"', rb'{"\udfff": 1}', rb'["a\ud8ff"]'])
def test_half_a_character_is_refused_with_a_sentence(server, answer):
    with line_to(server) as line:
        code, _ = opened(line)
        line.join(code, 1)
        body = b'{"do": "vote", "answer": ' + answer + b"}"
        status, told, _ = line.ask("POST", f"/rooms/{code}", body, x_room_token=f"{1:032x}")
    assert status == 400 and told["error"].endswith(".")


def handshake(server, path, **headers):
    """The status of a WebSocket's answer, and how it was closed where it was opened."""

    async def tried():
        try:
            async with websockets.connect(
                f"ws://127.0.0.1:{server.port}{path}", additional_headers=headers, origin=None, open_timeout=30
            ) as socket:
                await socket.recv()
        except websockets.InvalidStatus as refused:
            return refused.response.status_code
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None

    return asyncio.run(tried())


def test_an_origin_that_is_no_address_is_refused(server):
    assert handshake(server, "/live", Origin="http://[") in (403, REFUSED)


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "[", ""])
def test_who_asks_by_another_name_is_not_answered(server, host):
    for path in ("/", "/explore", "/_stcore/health", web.address("classroom/common.js")):
        with line_to(server) as line:
            line.connection.putrequest("GET", path, skip_host=True)
            line.connection.putheader("Host", host)
            line.connection.endheaders()
            assert line.connection.getresponse().status in (400, 421)
    for path in ("/live", "/_stcore/stream"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as plain:
            lines = [f"GET {path} HTTP/1.1", f"Host: {host}", f"Origin: http://{host}", *UPGRADE, "", ""]
            plain.sendall("\r\n".join(lines).encode())
            assert b" 101 " not in plain.recv(200).partition(b"\r\n")[0]


def test_no_answer_is_held_back_until_the_one_before_is_confirmed(tmp_path):
    command = ["-m", "streamlit", "run", str(Path(__file__).with_name("delayed_app.py")), "--server.port"]
    with process_served(lambda port: [*command, str(port)], tmp_path / "log") as server:
        assert urllib.request.urlopen(f"{server.url}/delay", timeout=60).read() == b"1"


def test_a_name_that_was_told_is_answered(tmp_path):
    with app_served(tmp_path / "log", ("--hosts", "flows.example.org")) as named, line_to(named) as line:
        assert line.ask("GET", "/_stcore/health", host="flows.example.org")[0] == 200
        assert line.ask("GET", "/_stcore/health", host="other.example.org")[0] == 421
        assert line.ask("GET", "/_stcore/health", host=f"{socket.gethostname()}:1")[0] == 200


def test_a_proxy_that_is_named_is_believed_and_no_other(tmp_path):
    with app_served(tmp_path / "log", ("--proxy", "127.0.0.1")) as named, line_to(named) as line:
        code, _ = opened(line)
        for k in range(2 * MOST_WRONG_OF_ONE):
            line.join("BCDFG", k, x_forwarded_for="10.0.0.1")
        assert line.join(code, 1, x_forwarded_for="10.0.0.1")[1]["say"] == "refuses_wrong_codes"
        assert line.join(code, 1, x_forwarded_for="10.0.0.2")[0] == 200
