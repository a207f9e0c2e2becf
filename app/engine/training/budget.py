"""How much of a run's time goes into looking at it: frames, and measurements that training waits for."""

import math

SHARE = 0.2
# Unused time is kept for a short burst only, so that training never stands still for long.
BURST_SECONDS = 0.1
MEMORY_SECONDS = 5.0


class LookBudget:
    """A token bucket that fills by `SHARE` seconds for each second that the run works: in a crowd that is a small part
    of what passes. One look may overdraw it; it is then paid off."""

    def __init__(self) -> None:
        self._now = 0.0
        self._credit = 0.0
        self._spent = 0.0
        self._elapsed = 0.0

    @property
    def is_open(self) -> bool:
        return self._credit >= 0.0

    @property
    def share(self) -> float:
        """The share of looks in what the run worked over the last seconds."""
        return self._spent / self._elapsed if self._elapsed else 0.0

    def advance(self, now: float) -> None:
        """The run has worked so many seconds in all."""
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
