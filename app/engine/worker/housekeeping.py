"""Freed memory goes back to the system, in the server and in the training process.

glibc keeps freed memory for the next time: the top of every arena, and pages between what is still in use. After a
crowd of visitors that is hundreds of megabytes that nothing needs. Elsewhere (macOS, musl) only garbage is collected.
"""

import ctypes
import gc
import threading
import time

EVERY_SECONDS = 15.0
# It is done in quiet times, when the process needs no more of a processor than this share, and once for each second of
# work since the last time: before, little can have been freed.
QUIET_SHARE = 0.2
WORK_SECONDS = 1.0
_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def start(every: float = EVERY_SECONDS) -> None:
    """Tidy up in quiet times, in a thread of its own. Call it once, before other threads are started.

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
    tidied = 0.0
    while True:
        before = time.process_time()
        time.sleep(every)
        now = time.process_time()
        if now - before < QUIET_SHARE * every and now - tidied > WORK_SECONDS:
            tidy()
            tidied = time.process_time()
