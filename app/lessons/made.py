"""Lessons as they are acted out for paper: each once, in a thread of its own, and again where its file has changed."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from app.lessons.acted import Acted, act_out
from app.lessons.lesson import Lesson

# One at a time: a flow that is trained for paper takes a core from those that visitors watch.
_thread = ThreadPoolExecutor(1, thread_name_prefix="papers")
_lock = Lock()
_made: dict[Path, tuple[int, "Future[Acted]"]] = {}


def acted(lesson: Lesson) -> "Future[Acted]":
    """The lesson acted out, or what will be that. Its error is a ValueError of `act_out`."""
    written = lesson.path.stat().st_mtime_ns
    with _lock:
        was, future = _made.get(lesson.path, (0, None))
        if future is None or was != written:
            future = _thread.submit(act_out, lesson)
            _made[lesson.path] = written, future
        return future
