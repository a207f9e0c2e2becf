"""Who computes now, among the runs of a worker, each of which is a thread.

The operating system shares the cores among threads, and would be enough if all steps were alike. But a step at the
limits takes ten seconds of a core, and one of the flow that a page begins with takes three milliseconds. So:

- A run whose last step took less than `SHORT_SECONDS`, as it notes itself (`run.Run._step`), goes on without asking: it
  holds up no other. With three runs at the limits beside it, it steps a few times a second; in line with them it would
  wait for minutes.
- All other work shares as many places as there are cores. It takes a place for one part, about 50 ms, and between two
  parts who has used the least time has the next place. That time is measured, by the processor's clock of each thread,
  and never estimated: what a step costs depends on who else is there.
- A run that has not stepped yet counts as long. One that comes late, or wakes, is taken to have used what those at work
  have, less `MOST_ARREARS_SECONDS` at most: others do not stand still until it has caught up.

Threads of long runs have a lower priority too (`threads.lower_priority`), because those without a place compete with
those that go on without asking for the same cores.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHORT_SECONDS = 0.05
MOST_ARREARS_SECONDS = 0.5


class Ticket:
    """A run at the gate. Its own thread alone calls the gate with it."""

    def __init__(self) -> None:
        self.is_long = True
        self.worked = 0.0  # seconds of a processor, in all
        self.used = 0.0  # as `worked`, and more where it came late
        self.since: float | None = None  # by the clock of its thread, while it works
        self.turn = threading.Event()


class Gate:
    """`places`: how many long runs compute at a time. `clock`: seconds of a processor that the calling thread has
    had."""

    def __init__(self, places: int, clock: Callable[[], float] = time.thread_time) -> None:
        self._free, self._clock = places, clock
        self._lock = threading.Lock()
        self._holders: set[Ticket] = set()
        self._waiting: list[Ticket] = []
        self._level = 0.0  # the most that a run had used when it was given a place

    @contextmanager
    def work(self, ticket: Ticket) -> Iterator[None]:
        """A piece of work of a run, within which it may `breathe`. Waits for a place, where it needs one. A piece
        within another has the place of that."""
        if ticket.since is not None:
            try:
                yield
            finally:
                self._note(ticket)
            return
        if ticket.is_long:
            self._take(ticket)
        ticket.since = self._clock()
        try:
            yield
        finally:
            self._note(ticket)
            ticket.since = None
            if ticket in self._holders:
                self._give(ticket)

    def breathe(self, ticket: Ticket) -> None:
        """Between two parts of the work: others that have used less have their turn first."""
        self._note(ticket)
        if ticket not in self._holders:
            return
        with self._lock:
            goes_on = all(other.used >= ticket.used for other in self._waiting)
        if not goes_on:
            self._give(ticket)
            self._take(ticket)
        ticket.since = self._clock()

    def _note(self, ticket: Ticket) -> None:
        now = self._clock()
        if ticket.since is not None:
            ticket.worked += now - ticket.since
            ticket.used += now - ticket.since
            ticket.since = now

    def _take(self, ticket: Ticket) -> None:
        with self._lock:
            ticket.used = max(ticket.used, self._level - MOST_ARREARS_SECONDS)
            if self._free:
                self._free -= 1
                self._admit(ticket)
                return
            ticket.turn.clear()
            self._waiting.append(ticket)
        ticket.turn.wait()

    def _give(self, ticket: Ticket) -> None:
        with self._lock:
            self._holders.discard(ticket)
            if not self._waiting:
                self._free += 1
                return
            first = min(self._waiting, key=lambda one: one.used)
            self._waiting.remove(first)
            self._admit(first)
        first.turn.set()

    def _admit(self, ticket: Ticket) -> None:
        self._holders.add(ticket)
        self._level = max(self._level, ticket.used)
