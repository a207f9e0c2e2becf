"""Freed memory goes back to the system, in the server and in the training process.

glibc keeps freed memory for the next time: the top of every arena, and pages between what is still in use. After a
crowd of visitors that is hundreds of megabytes that nothing needs. Elsewhere (macOS, musl) only garbage is collected.
"""

import ctypes
import gc
import threading
import time
from collections.abc import Callable

EVERY_SECONDS = 15.0
# So long after a flow has left, so that the others of its class have left, too.
SOON_SECONDS = 3.0
# In quiet times, when the process needs no more of a processor than this share, once for each second of work since the
# last time: before, little can have been freed.
QUIET_SHARE = 0.2
WORK_SECONDS = 1.0
_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


class House:
    """Says when to tidy up. `cpu` is the clock of what the process has worked."""

    def __init__(self, cpu: Callable[[], float] = time.process_time) -> None:
        self._cpu = cpu
        self._tidied = self._looked = cpu()
        self._has_left = threading.Event()

    def flow_left(self) -> None:
        """A flow has left the memory, so that there is something to give back. From any thread."""
        self._has_left.set()

    def wait(self, seconds: float) -> None:
        """So long, or until soon after a flow has left."""
        if self._has_left.wait(seconds):
            time.sleep(SOON_SECONDS)

    def is_due(self, seconds: float) -> bool:
        """Whether to tidy up now, so long after the last look: after a flow has left also in busy times, or the next
        crowd would need the memory of two."""
        now = self._cpu()
        is_quiet = now - self._looked < QUIET_SHARE * seconds
        due = self._has_left.is_set() or (is_quiet and now - self._tidied > WORK_SECONDS)
        self._looked = now
        if due:
            self._has_left.clear()
            self._tidied = now
        return due


HOUSE = House()
"""Of this process."""


def start(every: float = EVERY_SECONDS) -> None:
    """Tidy up when it is due, in a thread of its own. Call it once, before other threads are started.

    What there is now is taken to stay for good: later collections of garbage need not look at it. All threads share one
    arena, because the tops of the others would never be given back.
    """
    gc.collect()
    gc.freeze()
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_ARENA_MAX, 1)
    threading.Thread(target=_keep_house, args=(every,), name="housekeeping", daemon=True).start()


def tidy() -> bool:
    """Collect garbage and give free pages back to the system. Whether that is possible."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return bool(trim and trim(0))


def _keep_house(every: float) -> None:
    while True:
        began = time.monotonic()
        HOUSE.wait(every)
        if HOUSE.is_due(time.monotonic() - began):
            tidy()
