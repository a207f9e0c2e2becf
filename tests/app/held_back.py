"""The engine of this process held back, so that a page under AppTest costs no more than what a test looks at."""

import time
from contextlib import contextmanager

import pytest

from app.engine.reports import Report, State
from app.engine.training.run import SLICE_SECONDS, Run


def steps_at_most(engine, monkeypatch, most):
    """No button takes more than so many steps. What the buttons have asked for, a list that grows."""
    asked, step = [], engine.step

    def fewer(id, n, **how):
        asked.append(n)
        step(id, min(n, most), **how)

    monkeypatch.setattr(engine, "step", fewer)
    return asked


def builds_nothing(engine, monkeypatch):
    """All flows wait for a place, for tests of what a page shows or asks for without them."""
    monkeypatch.setattr(engine, "poll", lambda id, request: Report(id, State.QUEUED))


@contextmanager
def answers_at_the_first_step(engine):
    """Polls end as soon as a run is known to have taken a step, like those of a page that comes in between. A step
    takes a whole turn, so that on a fast machine there are no more of them."""
    with pytest.MonkeyPatch.context() as patch:
        turn, step = engine._here.turn, Run._step

        def slowly(run):
            time.sleep(SLICE_SECONDS)
            step(run)

        def turned():
            turn()
            if any(engine._step(id) for id in engine._here.records):
                patch.setattr(engine, "_finish_seconds", -1.0)

        patch.setattr(engine._here, "turn", turned)
        patch.setattr(Run, "_step", slowly)
        yield
