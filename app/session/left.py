"""Pages that were left, for a browser that comes back to one: by reload, or by opening what was just closed."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from weakref import WeakValueDictionary

from app.link import STEP, VIEW
from app.session.page import Page, new_token
from app.turns import TURNS

MOST_KEPT = 300
KEPT_SECONDS = 600.0
"""The engine drops a run of which nobody has heard for so long, too."""
LEAVES_SECONDS = 1.0
"""A browser that reloads may be back before the server has noticed that it was gone."""


@dataclass(frozen=True)
class _Left:
    page: Page
    at: float


class Left:
    """Each page is kept for a while by its token, and taken by one browser only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._left: OrderedDict[str, _Left] = OrderedDict()
        self._open: WeakValueDictionary[str, Page] = WeakValueDictionary()
        self._lock, self._clock = threading.Lock(), clock

    def come(self, page: Page) -> None:
        """Somebody looks at the page, for the first time or again."""
        with self._lock:
            self._left.pop(page.token, None)
            self._open[page.token] = page

    def leave(self, page: Page) -> None:
        with self._lock:
            if self._open.pop(page.token, None):
                self._left[page.token] = _Left(page, self._clock())
                self._forget()

    def take(self, token: str, query: Mapping[str, str]) -> Page | None:
        """The page that was left with this token, if its address said what `query` says; it has another token then.
        None where there is no such page."""
        deadline = self._clock() + LEAVES_SECONDS
        while token in self._open and self._clock() < deadline:
            TURNS.rest(0.02)
        with self._lock:
            self._forget()
            if token not in self._left or _run(self._left[token].page.address) != _run(query):
                return None
            page = self._left.pop(token).page
        page.token, page.attached = new_token(), False
        return page

    def _forget(self) -> None:
        oldest = self._clock() - KEPT_SECONDS
        while self._left and (len(self._left) > MOST_KEPT or next(iter(self._left.values())).at < oldest):
            self._left.popitem(last=False)


def _run(query: Mapping[str, str]) -> dict[str, str]:
    """What a query says of a run, whatever is looked at of it and how far it was."""
    return {name: text for name, text in query.items() if name != STEP and not name.startswith(VIEW)}


LEFT = Left()
"""Those of this server."""
