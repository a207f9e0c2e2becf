"""Clocks get what they ask for while there is time for all of them, and longer intervals beyond that."""

import pytest

from app.clockwork import GONE_SECONDS, MOST_TIMES, SHARE, Clock, Clockwork
from app.engine.clocks import AWAY_SECONDS


class Hall:
    """So many pages, each with a clock, at a time that stands still until it is moved."""

    def __init__(self, pages):
        self.now = 0.0
        self.work = Clockwork(lambda: self.now)
        self.clocks = [Clock(1.0) for _ in range(pages)]

    def call(self, asked=1.0, cost=0.01):
        """Each page's clock calls; the intervals that they get."""
        for clock in self.clocks:
            clock.seconds = self.work.note(clock, asked, cost)
        return [self.work.note(clock, asked, cost) for clock in self.clocks]


@pytest.mark.parametrize("times", [2, 3, 5])
def test_many_take_no_more_than_their_share_together(times):
    pages = int(times * SHARE / 0.01)
    given = Hall(pages).call()
    assert len(set(given)) == 1
    assert sum(0.01 / seconds for seconds in given) <= SHARE
    assert sum(0.01 / (seconds - 1) for seconds in given) > SHARE


def test_a_clock_never_calls_so_seldom_that_its_page_is_taken_for_gone():
    assert set(Hall(1000).call()) == {float(MOST_TIMES)}
    assert MOST_TIMES < AWAY_SECONDS


def test_pages_at_rest_leave_their_time_to_the_others():
    resting, playing = Hall(1000), Hall(10)
    playing.work = resting.work
    resting.call(asked=60.0)
    assert playing.call() == [1.0] * 10


def test_closed_pages_are_not_counted():
    hall = Hall(200)
    assert hall.call()[0] > 1.0
    hall.clocks = hall.clocks[:10]  # a closed session is dropped
    assert hall.call() == [1.0] * 10

    hall = Hall(200)
    hall.call()
    hall.now += MOST_TIMES + 2 * GONE_SECONDS  # or shows something else
    hall.clocks, kept = hall.clocks[:10], hall.clocks
    assert hall.call() == [1.0] * 10 and len(kept) == 200


def test_what_a_call_costs_follows_what_it_cost_lately():
    hall = Hall(100)
    assert hall.call(cost=0.01)[0] > 1.0
    for _ in range(20):
        given = hall.call(cost=0.001)
    assert given == [1.0] * 100
