"""All rooms of a server, in memory only: gone when they are closed, after a day, or with the server."""

import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from app.classroom.question import Question
from app.classroom.room import Closed, Room

MOST_ROOMS = 20
LIFE_SECONDS = 24 * 3600.0
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Of codes: no vowels, so that none is a word, and none that looks like a digit."""
CODE_LENGTH = 5
MOST_WRONG, WRONG_SECONDS = 20, 60.0
"""So many wrong codes are answered in so long, of all visitors together: 20 of 3.2 million."""


class Rooms:
    """Rooms by their codes. Everything that is asked of a room goes through `members` or `teacher`, one at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.RLock()
        self._rooms: dict[str, Room] = {}
        self._wrong: deque[float] = deque(maxlen=MOST_WRONG)

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

    def join(self, code: str, token: str) -> str:
        """Make the visitor with this token a member of the room with this code, as it was typed; the code as it is.
        Raises Closed where there is none, or after too many wrong codes."""
        with self._lock:
            code = "".join(code.split()).upper()
            self._forget()
            if code not in self._rooms:
                now = self._clock()
                if len(self._wrong) == MOST_WRONG and now - self._wrong[0] < WRONG_SECONDS:
                    raise Closed("wrong_codes")
                self._wrong.append(now)
                raise Closed("code", code=code[:12])
            self._rooms[code].join(token, self._clock())
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
        while (code := "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))) in self._rooms:
            pass
        return code

    def _forget(self) -> None:
        now = self._clock()
        self._rooms = {code: room for code, room in self._rooms.items() if now - room.opened < LIFE_SECONDS}


ROOMS = Rooms()
