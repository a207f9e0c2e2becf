"""All rooms of a server, in memory only: gone when they are closed, when their teacher has been away for three hours,
or with the server."""

import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from app.callers import Caller
from app.classroom.question import Question
from app.classroom.room import Closed, Room

MOST_ROOMS = 20
AWAY_SECONDS = 3 * 3600.0
"""A room ends when its wall has not been seen for so long."""
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Of codes: no vowels, so that none is a word, and none that looks like a digit."""
CODE_LENGTH = 5
MOST_WRONG, MOST_WRONG_OF_ONE, WRONG_SECONDS = 60, 15, 60.0
"""So many wrong codes are looked up in so long: of all visitors together, and of one address. There are 20^5 = 3.2
million codes. Whoever guesses for three hours as fast as that, from four addresses, tries 10,800 of them: one room is
entered in one of 296 cases, and one of twenty rooms in one of 15."""


class Guesses:
    """Those that were wrong lately."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wrong: deque[tuple[float, str]] = deque(maxlen=MOST_WRONG)  # when, and from which address

    def check(self, address: str) -> None:
        """Raises Closed where no more are looked up now, whether they are right or wrong: who is told that a guess was
        too much must not be told anything else by it."""
        while self._wrong and self._clock() - self._wrong[0][0] >= WRONG_SECONDS:
            self._wrong.popleft()
        own = sum(of == address for _, of in self._wrong)
        if own >= MOST_WRONG_OF_ONE or len(self._wrong) >= MOST_WRONG:
            raise Closed("wrong_codes")

    def note(self, address: str) -> None:
        """One was wrong."""
        self._wrong.append((self._clock(), address))


class Rooms:
    """Rooms by their codes. Everything that is asked of a room goes through `member` or `teacher`, one at a time.

    `key` opens rooms from other machines than the server's own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.RLock()
        self._rooms: dict[str, Room] = {}
        self._codes, self._keys = Guesses(clock), Guesses(clock)
        self.key = "-".join(_letters(CODE_LENGTH) for _ in range(3))

    def admit(self, caller: Caller, key: str) -> None:
        """Whether this visitor may open rooms: from the server's own machine, or with its key. Raises Closed."""
        if caller.is_local:
            return
        with self._lock:
            self._keys.check(caller.address)
            if not hmac.compare_digest(_plain(self.key), _plain(key)):
                if key:
                    self._keys.note(caller.address)
                raise Closed("key")

    def open(
        self, lesson: str, language: str, steps: tuple[str, ...], questions: Mapping[str, Question]
    ) -> tuple[str, str]:
        """A new room's code and its teacher's secret. Raises Closed where there are too many."""
        with self._lock:
            self._forget()
            if len(self._rooms) >= MOST_ROOMS:
                raise Closed("rooms", most=MOST_ROOMS)
            code = self._new_code()
            secret = secrets.token_urlsafe(16)
            self._rooms[code] = Room(code, secret, lesson, language, steps, questions, self._clock())
            return code, secret

    def join(self, code: str, token: str, address: str = "", browser: str = "") -> str:
        """Make the visitor with this token a member of the room with this code, as it was typed, and of no other;
        the code as it is. Raises Closed where there is none, after too many wrong codes, and as `Room.join`."""
        with self._lock:
            code = "".join(code.split()).upper()
            self._forget()
            room = self._rooms.get(code)
            if room is None or token not in room.members:  # who is in it knows the code
                self._codes.check(address)
            if room is None:
                self._codes.note(address)
                raise Closed("code", code=code[:12])
            room.join(token, self._clock(), address, browser)
            for other in self._rooms.values():
                if other is not room:
                    other.leave(token, browser)
            return code

    @contextmanager
    def member(self, code: str, token: str) -> Iterator[tuple[Room, float]]:
        """The room, for one who is in it, and the time now. Raises Closed."""
        with self._lock:
            self._forget()
            room = self._rooms.get(code)
            # The same sentence in both cases: no code is guessed by it.
            if room is None or token not in room.members:
                raise Closed("stranger")
            yield room, self._clock()

    @contextmanager
    def teacher(self, code: str, secret: str) -> Iterator[Room]:
        """The room, for one who knows its secret. Raises Closed."""
        with self._lock:
            self._forget()
            room = self._rooms.get(code)
            if room is None or not hmac.compare_digest(room.secret.encode(), secret.encode()):
                raise Closed("not_teacher")
            room.watched = self._clock()
            yield room

    def close(self, code: str, secret: str) -> None:
        with self.teacher(code, secret):
            del self._rooms[code]

    def codes(self) -> set[str]:
        """Of all rooms that are open."""
        with self._lock:
            self._forget()
            return set(self._rooms)

    def _new_code(self) -> str:
        while (code := _letters(CODE_LENGTH)) in self._rooms:
            pass
        return code

    def _forget(self) -> None:
        now = self._clock()
        self._rooms = {code: room for code, room in self._rooms.items() if now - room.watched < AWAY_SECONDS}


def _plain(key: str) -> bytes:
    """As it is compared: however it was typed."""
    return "".join(filter(str.isalpha, key)).upper().encode(errors="replace")


def _letters(n: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(n))


ROOMS = Rooms()
