"""Of all visitors' scripts a few run at a time, and the others wait for their turn: first come, first served.

Python runs one thread at a time. If 300 scripts run at once, each gets a few milliseconds every few seconds, and so
does the thread that speaks to the browsers: for minutes no page is answered. In turns each script is short.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST_AT_ONCE = 2
SIGN_SECONDS = 2.0


class Turns:
    """At most `most` threads have a turn at a time."""

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._free, self._waiting, self._lock = most, deque[threading.Event](), threading.Lock()
        self._own = threading.local()

    @contextmanager
    def turn(self, sign: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Wait for a turn, and have it within the context; one within another is the same. `sign` is called every
        `SIGN_SECONDS` of waiting."""
        if self._has_turn:
            yield
            return
        self._take(sign)
        self._own.has = True
        try:
            yield
        finally:
            self._own.has = False
            self._give()

    def rest(self, seconds: float) -> None:
        """Sleep, and let others have the turn meanwhile."""
        if not self._has_turn:
            time.sleep(seconds)
            return
        self._give()
        try:
            time.sleep(seconds)
        finally:
            self._take(first=True)

    @property
    def waiting(self) -> int:
        """The threads that wait."""
        return len(self._waiting)

    @property
    def _has_turn(self) -> bool:
        return getattr(self._own, "has", False)

    def _take(self, sign: Callable[[], None] = lambda: None, *, first: bool = False) -> None:
        with self._lock:
            if self._free and (first or not self._waiting):
                self._free -= 1
                return
            mine = threading.Event()
            (self._waiting.appendleft if first else self._waiting.append)(mine)
        try:
            while not mine.wait(SIGN_SECONDS):
                sign()
        except BaseException:
            with self._lock:
                if not mine.is_set():
                    self._waiting.remove(mine)
                    raise
            self._give()
            raise

    def _give(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1


TURNS = Turns()
"""Those of this server."""
