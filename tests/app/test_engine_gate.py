"""Which of several threads computes, whatever the machine: they wait for states, and their time is a number that the
test sets."""

import threading
from collections import defaultdict

import pytest

from app.engine.training.gate import MOST_ARREARS_SECONDS, Gate, Ticket
from tests.served import wait_for


class Times:
    """Seconds of a processor that each thread has had."""

    def __init__(self):
        self.of = defaultdict(float)

    def __call__(self):
        return self.of[threading.get_ident()]

    def work(self, seconds):
        self.of[threading.get_ident()] += seconds


@pytest.fixture
def times():
    return Times()


def waiting(gate, *tickets):
    """Wait until these and no others wait for a place."""
    wait_for(lambda: set(gate._waiting) == set(tickets), "the threads to wait")


class Holder:
    """A thread that has a place until it is told to go on, and then notes its name."""

    def __init__(self, gate, name, log, used=0.0, is_long=True):
        self.ticket = Ticket()
        self.ticket.used, self.ticket.is_long = used, is_long
        self._gate, self._name, self._log, self._leave = gate, name, log, threading.Event()
        self.inside = threading.Event()
        self._thread = threading.Thread(target=self._hold, daemon=True)
        self._thread.start()

    def _hold(self):
        with self._gate.work(self.ticket):
            self._log.append(self._name)
            self.inside.set()
            self._leave.wait()

    def leave(self):
        self._leave.set()
        self._thread.join()


def test_no_more_long_runs_compute_than_there_are_places():
    gate, inside, most, lock = Gate(2), [0], [0], threading.Lock()

    def compute():
        ticket = Ticket()
        for _ in range(30):
            with gate.work(ticket):
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                for _ in range(3):
                    sum(range(2_000))
                with lock:
                    inside[0] -= 1

    threads = [threading.Thread(target=compute) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 2
    with gate.work(Ticket()), gate.work(Ticket()):
        pass  # both places were given back


def test_who_has_used_the_least_has_the_next_place(times):
    gate, log = Gate(1, times), []
    first = Holder(gate, "first", log, used=3.0)
    first.inside.wait()
    later = [Holder(gate, name, log, used=used) for name, used in (("much", 3.4), ("little", 2.8), ("more", 3.1))]
    waiting(gate, *(one.ticket for one in later))
    first.leave()
    for one in (later[1], later[2], later[0]):
        one.inside.wait()
        one.leave()
    assert log == ["first", "little", "more", "much"]


def test_short_runs_pass_while_all_places_are_taken(times):
    gate, log = Gate(1, times), []
    long = Holder(gate, "long", log)
    long.inside.wait()
    short = Holder(gate, "short", log, is_long=False)
    short.inside.wait()
    short.leave()
    long.leave()
    assert log == ["long", "short"]


def test_between_two_parts_others_that_have_used_less_go_first_and_others_do_not(times):
    gate, log, ticket = Gate(1, times), [], Ticket()
    with gate.work(ticket):
        other = Holder(gate, "other", log, used=1.0)
        waiting(gate, other.ticket)
        times.work(0.9)
        gate.breathe(ticket)
        assert log == [] and ticket.used == pytest.approx(0.9)
        times.work(0.2)
        threading.Thread(target=lambda: (other.inside.wait(), other.leave())).start()
        gate.breathe(ticket)
        assert log == ["other"]


def test_who_comes_late_has_few_arrears_and_who_was_alone_for_long_goes_on_soon(times):
    gate, log = Gate(1, times), []
    old, new = Ticket(), Ticket()
    with gate.work(old):
        times.work(1_000.0)
    with gate.work(old):
        late = Holder(gate, "late", log)
        waiting(gate, late.ticket)
        assert late.ticket.used == pytest.approx(1_000.0 - MOST_ARREARS_SECONDS)
    late.inside.wait()
    late.leave()
    with gate.work(new):
        assert new.worked == 0.0, "what it really worked is counted apart"


def test_work_within_work_needs_no_place_of_its_own_and_all_time_counts_once(times):
    gate, ticket = Gate(1, times), Ticket()
    with gate.work(ticket):
        times.work(1.0)
        with gate.work(ticket):
            times.work(2.0)
        assert ticket.worked == pytest.approx(3.0)
        times.work(4.0)
    assert ticket.worked == pytest.approx(7.0)


def test_an_error_gives_the_place_back(times):
    gate = Gate(1, times)
    with pytest.raises(KeyError), gate.work(Ticket()):
        raise KeyError
    with gate.work(Ticket()):
        pass
