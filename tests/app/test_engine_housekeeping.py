"""When a process gives freed memory back, by the clock of what it has worked."""

import threading
from types import SimpleNamespace

import pytest

from app.engine.commands import Close, Create, Leave, Poll, Step
from app.engine.worker import housekeeping
from app.engine.worker.floor import ASIDE_SECONDS
from app.engine.worker.housekeeping import EVERY_SECONDS, QUIET_SHARE, WORK_SECONDS, House
from tests.app.engine_bench import BLIND, EXPERIMENT
from tests.app.test_engine_threads import Job, threads  # noqa: F401  a fixture


@pytest.fixture
def house():
    """A house, and `work`, which says that the process has worked so many seconds."""
    worked = [0.0]

    def work(seconds):
        worked[0] += seconds

    return House(cpu=lambda: worked[0]), work


def test_a_quiet_time_after_work_is_used_once(house):
    house, work = house
    work(1.1 * WORK_SECONDS)
    assert house.is_due(EVERY_SECONDS)
    work(0.9 * WORK_SECONDS)
    assert not house.is_due(EVERY_SECONDS)
    work(0.2 * WORK_SECONDS)
    assert house.is_due(EVERY_SECONDS)


def test_a_busy_process_tidies_up_only_after_a_flow_has_left(house):
    house, work = house
    busy = 1.1 * QUIET_SHARE * EVERY_SECONDS
    work(busy)
    assert not house.is_due(EVERY_SECONDS)
    house.flow_left()
    work(busy)
    assert house.is_due(EVERY_SECONDS)
    work(busy)
    assert not house.is_due(EVERY_SECONDS)


def test_a_flow_that_leaves_just_after_tidying_up_is_not_forgotten(house):
    house, work = house
    work(1.1 * WORK_SECONDS)
    assert house.is_due(EVERY_SECONDS)
    house.flow_left()
    assert house.is_due(EVERY_SECONDS)


def test_who_waits_is_woken_by_a_flow_that_leaves(house, monkeypatch):
    monkeypatch.setattr(housekeeping, "SOON_SECONDS", 0.0)
    house, _ = house
    house.flow_left()
    house.wait(threading.TIMEOUT_MAX)
    assert house.is_due(EVERY_SECONDS)


def test_a_run_that_steps_aside_or_ends_tells_the_house(threads, monkeypatch):  # noqa: F811
    left = []
    monkeypatch.setattr(housekeeping, "HOUSE", SimpleNamespace(flow_left=lambda: left.append(1)))
    here = threads(Job)
    here.do(Create("a", EXPERIMENT), Poll("a", BLIND), Step("a", 1))
    here.wait_for(lambda: here.step("a") == 1, "a step")
    assert not left
    here.do(Leave("a"))
    here.attendance += 2 * ASIDE_SECONDS
    here.wait_for(lambda: left == [1], "its flow to leave")
    here.do(Poll("a", BLIND), Step("a", 1))
    here.wait_for(lambda: here.step("a") == 2, "another step")
    here.do(Close("a"))
    here.wait_for(lambda: left == [1, 1], "it to end")
