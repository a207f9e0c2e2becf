"""How fast a run trains."""

from collections import deque

SECONDS = 2.0


class Pace:
    """Steps a second over the last `SECONDS` of wall clock in which it trained."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, int]] = deque()  # (time, steps taken)

    def begin(self, now: float, step: int) -> None:
        """Note where training begins, unless it goes on."""
        if not self._recent:
            self._recent.append((now, step))

    def note(self, now: float, step: int) -> None:
        """Note where it is, if it has taken a step."""
        if step == self._recent[-1][1]:
            return
        self._recent.append((now, step))
        while len(self._recent) > 2 and self._recent[0][0] < now - SECONDS:
            self._recent.popleft()

    def rest(self) -> None:
        """It does not train just now."""
        self._recent.clear()

    @property
    def per_second(self) -> float:
        """0 when it does not move."""
        if len(self._recent) < 2:
            return 0.0
        (start, first), (end, last) = self._recent[0], self._recent[-1]
        return (last - first) / (end - start)
