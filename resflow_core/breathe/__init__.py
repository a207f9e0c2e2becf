"""The hook by which long work lets others have a turn."""

from collections.abc import Callable

Breathe = Callable[[], None]
"""Long work calls `breathe()` between two parts of about `training.step_work.PART_SECONDS`, so that others have a turn.

It may raise, which ends the work. It may also take steps of a trainer, so a measurement holds its own copy of the flow
where a step in between would change its result. Whoever breathes sets the mode of gradients that it needs: the work may
call it with gradients disabled.
"""


def without() -> None:
    """Do nothing: the work goes on at once."""
