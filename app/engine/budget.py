"""How much of a process's time goes into looking at runs: frames, and measurements that training waits for."""

import math

SHARE = 0.2
# Unused time is kept for a short burst only: a page that opens late must not stop the training of the others.
BURST_SECONDS = 0.1
MEMORY_SECONDS = 5.0


class LookBudget:
    """A token bucket that fills by `SHARE` seconds a second. One look may overdraw it; it is then paid off."""

    def __init__(self, now: float):
        self._now = now
        self._credit = 0.0
        self._spent = 0.0
        self._elapsed = 0.0

    @property
    def is_open(self) -> bool:
        return self._credit >= 0.0

    @property
    def share(self) -> float:
        """The share of wall clock that training waited for looks over the last seconds."""
        return self._spent / self._elapsed if self._elapsed else 0.0

    def advance(self, now: float) -> None:
        passed = now - self._now
        self._now = now
        self._credit = min(BURST_SECONDS, self._credit + SHARE * passed)
        decay = math.exp(-passed / MEMORY_SECONDS)
        self._spent *= decay
        self._elapsed = self._elapsed * decay + passed

    def spend(self, seconds: float) -> None:
        """Note a look that training waited for."""
        self._spent += seconds
        self._credit -= seconds
