"""How long each run of a worker has given no sign of life, as its server sees it."""

from collections.abc import Iterable

from app.engine.records.flight_recorder import Entry

WORKER = ""
"""The name of the worker's own entry."""


class Heartbeats:
    """A run that does not work gives no signs and misses none. Times are by one clock; `began` is when the worker was
    started."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._heard: dict[str, tuple[int, float]] = {}  # the signs of those that work, and when there was a new one

    def __bool__(self) -> bool:
        """Whether there was any sign."""
        return bool(self._heard)

    def hear(self, entries: Iterable[Entry], now: float) -> None:
        heard = {}
        for entry in entries:
            if entry.works:
                before = self._heard.get(entry.run)
                heard[entry.run] = before if before and before[0] == entry.signs else (entry.signs, now)
        self._heard = heard

    def silence(self, run: str, now: float) -> float:
        """Seconds since the last sign of a run or, where it does not work, of its worker; 0 before the first."""
        _, at = self._heard.get(run) or self._heard.get(WORKER) or (0, now)
        return now - at

    def longer_than(self, seconds: float, to_start: float, now: float) -> frozenset[str]:
        """Those that are silent for longer: runs, or the worker itself; it may take longer to start."""
        if not self._heard:
            return frozenset({WORKER} if now - self._began > to_start else ())
        return frozenset(run for run, (_, at) in self._heard.items() if now - at > seconds)
