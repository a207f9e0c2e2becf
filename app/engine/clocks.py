"""Clocks: of this process, of a processor, and one that stands still while the server is late."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

BEAT_SECONDS = 0.1
AWAY_SECONDS = 10.0
"""A page that has not polled for this long, by the clock of attendance (`Clocks`), is taken to be gone."""

Clock = Callable[[], float]
"""Seconds since some moment."""


@dataclass(frozen=True)
class Clocks:
    """`wall` says when something is due, `attendance` how long a page was not heard of, `cpu` what a step takes."""

    wall: Clock = time.monotonic
    attendance: Clock = time.monotonic
    cpu: Clock = time.thread_time


class Pulse:
    """Counts beats, which a thread makes every `BEAT_SECONDS`. A late beat counts as one beat, however late it is.

    A server that is busy with 300 pages counts one second while ten pass, so it does not take its own delay for the
    silence of a page or of a process. `each_second` is called after every ten beats, in the thread of the pulse.
    """

    def __init__(self, each_second: Callable[[], None] = lambda: None) -> None:
        self._beats, self._each_second = 0, each_second
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
        self._thread.start()

    def __call__(self) -> float:
        """Seconds since it began, without delays."""
        return self._beats * BEAT_SECONDS

    def stop(self) -> None:
        self._stopped.set()

    def _beat(self) -> None:
        in_a_second = round(1 / BEAT_SECONDS)
        while not self._stopped.wait(BEAT_SECONDS):
            self._beats += 1
            if self._beats % in_a_second == 0:
                self._each_second()


class ServerTime:
    """The server's `Pulse` as the training process hears of it."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds
