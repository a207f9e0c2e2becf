"""How often the clocks of all open pages call: as each asks, or less often if together they would take too long.

A call takes milliseconds of the server's one interpreter. Clocks with $c_i$ seconds of CPU a call, every $s_i$ seconds,
take the share $\\sum_i c_i / s_i$ of it. Beyond `SHARE` all intervals grow by one whole factor, so that clicks,
pictures and new visitors find time. Moving pictures do not wait for a clock: they have a channel of their own.
"""

import math
import threading
import time
import weakref
from collections.abc import Callable

SHARE = 0.35
"""Of the interpreter, by the parts of pages that clocks call. Streamlit adds about half as much to each call."""
MOST_TIMES = 8
"""The largest factor. The engine takes a page for gone that it has not heard of for ten seconds."""
GONE_SECONDS = 5.0
"""A clock that is later than this does not call any more: its page is closed, or shows something else."""
NEWEST = 0.3


class Clock:
    """A part of one page, which the browser calls every `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = self.asked = self.usual = seconds
        self.cost = 0.0  # seconds of CPU a call, a moving mean
        self.called = -math.inf


class Clockwork:
    """All clocks of a server. One that nobody else keeps is forgotten."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._clocks, self._lock, self._now = weakref.WeakSet[Clock](), threading.Lock(), now

    def note(self, clock: Clock, asked: float, cost: float) -> float:
        """`clock` was called, which cost so many seconds of CPU, and asks to be called every `asked` seconds. The
        seconds that it gets."""
        now = self._now()
        with self._lock:
            self._clocks.add(clock)
            clock.cost += (cost - clock.cost) * (NEWEST if clock.cost else 1.0)
            clock.asked, clock.called = asked, now
            load = sum(one.cost / one.asked for one in self._clocks if now - one.called < one.seconds + GONE_SECONDS)
        return asked * min(max(1, math.ceil(load / SHARE)), MOST_TIMES)


CLOCKWORK = Clockwork()
"""That of this server."""
