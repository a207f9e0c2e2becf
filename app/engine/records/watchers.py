"""Who is told of each report, and of weights, as they come."""

import threading
from collections.abc import Callable

from app.engine.reports import HandedOut, Report

Heard = Callable[[Report | HandedOut], None]


class Watchers:
    """By the id of the experiment. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[str, list[Heard]] = {}

    def add(self, id: str, heard: Heard) -> Callable[[], None]:
        """Tell it from now on, until what is returned is called."""
        with self._lock:
            self._of.setdefault(id, []).append(heard)
        return lambda: self._remove(id, heard)

    def tell(self, news: Report | HandedOut) -> None:
        with self._lock:
            told = tuple(self._of.get(news.id, ()))
        for heard in told:
            heard(news)

    def _remove(self, id: str, heard: Heard) -> None:
        with self._lock:
            others = self._of.get(id, [])
            if heard in others:
                others.remove(heard)
            if not others:
                self._of.pop(id, None)
