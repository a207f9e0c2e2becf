"""As many runs train as leave each a useful pace, which is measured."""

from dataclasses import dataclass

import pytest

from app.engine.worker.crowding import ENOUGH, LOOK_SECONDS, USEFUL_SHARE, Crowding


@dataclass
class Asked:
    wants_steps_since: float
    crowded_out: bool = False


def rounds(runs, capacity, looks):
    """After so many looks, where all steps together get `capacity` of a processor."""
    crowding = Crowding(0.0)
    for look in range(1, looks + 1):
        crowding.note(capacity(sum(not run.crowded_out for run in runs)) * LOOK_SECONDS)
        crowding.look(look * LOOK_SECONDS, runs)
    return [run for run in runs if not run.crowded_out]


@pytest.mark.parametrize("capacity", [0.9, 0.3, 0.05])
def test_each_that_trains_has_a_useful_pace_and_few_could_be_added(capacity):
    runs = [Asked(float(k)) for k in range(200)]
    going = rounds(runs, lambda n: capacity, 20)
    assert going == runs[: len(going)]  # who came first
    assert capacity / ENOUGH**2 <= len(going) * USEFUL_SHARE <= capacity


def test_it_is_measured_and_not_counted():
    """Where a crowd makes each step dearer, fewer train, and each has its pace all the same."""
    runs = [Asked(float(k)) for k in range(100)]
    going = rounds(runs, lambda n: 0.9 / (1 + n / 10), 50)
    assert 1 < len(going) < 40
    assert 0.9 / (1 + len(going) / 10) / len(going) >= USEFUL_SHARE / ENOUGH


def test_one_always_trains():
    runs = [Asked(2.0), Asked(1.0)]
    assert rounds(runs, lambda n: 0.0, 5) == [runs[1]]
    runs = [Asked(2.0, crowded_out=True), Asked(1.0, crowded_out=True)]
    Crowding(0.0).look(0.0, runs)
    assert [run.crowded_out for run in runs] == [True, False]
    Crowding(0.0).look(100.0, [])


def test_who_waits_goes_on_when_others_pause():
    runs = [Asked(float(k)) for k in range(60)]
    assert len(rounds(runs, lambda n: 0.3, 10)) <= 30
    rest = runs[20:]
    assert len(rounds(rest, lambda n: 0.5, 10)) == len(rest)
