"""A class in one room: students who answer by HTTP as the page for phones does, each in a thread of its own."""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

POLL_SECONDS = 1.5
PATIENCE_SECONDS = 60.0


class Refused(Exception):
    """What the server does not take now."""


@dataclass
class Line:
    """A connection that is kept, and how long each answer took."""

    url: str
    headers: Mapping[str, str]
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE_SECONDS)

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        began = time.monotonic()
        try:
            answer = self._answer(path, body)
        except http.client.RemoteDisconnected:  # it was silent for longer than the server keeps a connection
            self.connection.close()
            answer = self._answer(path, body)
        told = answer.read()
        self.seconds.append(time.monotonic() - began)
        if answer.status != 200:
            raise Refused(json.loads(told)["error"])
        return json.loads(told) if "json" in answer.headers["content-type"] else told.decode()

    def _answer(self, path: str, body: Mapping[str, Any] | None) -> http.client.HTTPResponse:
        method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
        self.connection.request(method, path, data, {**self.headers, "content-type": "application/json"})
        return self.connection.getresponse()


@dataclass
class Student:
    """Polls the room, and answers each question of the wall once a round, as `chooses` says of (question, round). What
    was taken is in `sent`, by question and round. What is lost on the way is tried again at the next look, as the page
    for phones does."""

    line: Line
    code: str
    chooses: Callable[[dict[str, Any], int], Any]
    sent: dict[tuple[str, int], Any] = field(default_factory=dict)
    wanted_draws: int = 0
    wanted_coins: list[int] = field(default_factory=list)
    truths: dict[str, Any] = field(default_factory=dict)  # what was told
    early: list[str] = field(default_factory=list)  # questions whose truth or counts were told while a vote was open
    lost: list[str] = field(default_factory=list)  # looks that failed
    state: dict[str, Any] = field(default_factory=dict)

    def join(self) -> None:
        self._take(self.line.ask(f"/rooms/{self.code}", {"do": "join"}))

    def stay(self, leave: threading.Event) -> None:
        """Look and act until the event."""
        while not leave.wait(POLL_SECONDS * random.uniform(0.9, 1.1)):
            try:
                self.look()
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
                self.line.connection.close()

    def look(self) -> None:
        self._take(self.line.ask(f"/rooms/{self.code}"))
        for say in (self._vote(), self._draw(), self._coin()):
            if say is not None:
                try:
                    self._take(self.line.ask(f"/rooms/{self.code}", say))
                except Refused:  # too quick, or too late: at the next look again
                    return

    def has_drawn(self) -> int:
        """As the room tells it."""
        draws = self.state["draws"]
        return draws["mine"]["n"] if draws else 0

    def _take(self, state: dict[str, Any]) -> None:
        self.state, asked = state, state["question"]
        if not asked:
            return
        if asked["mine"] is not None:
            self.sent[asked["id"], asked["round"]] = asked["mine"]
        if asked["stage"] == "voting" and (asked["truth"] or asked["rounds"]):
            self.early.append(asked["id"])
        if asked["truth"]:
            self.truths[asked["id"]] = asked["truth"]["value"]

    def _vote(self) -> dict[str, Any] | None:
        asked = self.state["question"]
        if not asked or asked["stage"] != "voting" or asked["mine"] is not None:
            return None
        return {"do": "vote", "answer": self.chooses(asked, asked["round"])}

    def _draw(self) -> dict[str, Any] | None:
        left = self.wanted_draws - self.has_drawn()
        return {"do": "draw", "n": min(100, left)} if self.state["draws"] and left > 0 else None

    def _coin(self) -> dict[str, Any] | None:
        thrown = len(self.state["coins"])
        return {"do": "coins", "throws": self.wanted_coins[thrown]} if thrown < len(self.wanted_coins) else None


class Class:
    """All students, from their joining on, until the context ends."""

    def __init__(self, url: str, code: str, size: int, chooses: Callable[[int, dict[str, Any], int], Any]) -> None:
        self.students = [
            Student(Line(url, {"x-room-token": f"{k:032x}"}), code, lambda asked, n, k=k: chooses(k, asked, n))
            for k in range(size)
        ]
        self._leave, self.broken = threading.Event(), []

    def __enter__(self) -> "Class":
        for student in self.students:
            student.join()
        self._threads = [threading.Thread(target=self._stay, args=(one,), daemon=True) for one in self.students]
        for thread in self._threads:
            thread.start()
        return self

    def _stay(self, student: Student) -> None:
        try:
            student.stay(self._leave)
        except Exception as error:  # told by the test: in a thread nobody would see it
            self.broken.append(error)

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        for student in self.students:
            student.line.connection.close()

    def seconds(self) -> list[float]:
        return sorted(one for student in self.students for one in student.line.seconds)
