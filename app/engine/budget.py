"""How much of a process's time goes into pictures."""

import math

SHARE = 0.2
SHARE_ALONE = 0.3  # of one run, whose pictures hold up nobody else's training
# Where many train, each is slow, and what its page shows of it is the picture.
SHARE_OF_MANY = 0.35
MANY = 8  # runs that work
# Unused time is kept for a short burst only: a page that opens late must not stop the training of the others.
BURST_SECONDS = 0.1
MEMORY_SECONDS = 5.0


def share_of_pictures(works: int) -> float:
    """The share of a process's time that may go into pictures where so many runs work."""
    if works == 1:
        return SHARE_ALONE
    return SHARE_OF_MANY if works >= MANY else SHARE


class PictureBudget:
    """A token bucket that fills by so many seconds a second. One picture may overdraw it; it is then paid off."""

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
        """The share of wall clock that training waited for pictures over the last seconds."""
        return self._spent / self._elapsed if self._elapsed else 0.0

    def advance(self, now: float, share: float) -> None:
        passed = now - self._now
        self._now = now
        self._credit = min(BURST_SECONDS, self._credit + share * passed)
        decay = math.exp(-passed / MEMORY_SECONDS)
        self._spent *= decay
        self._elapsed = self._elapsed * decay + passed

    def spend(self, seconds: float) -> None:
        """Note a picture that training waited for."""
        self._spent += seconds
        self._credit -= seconds
