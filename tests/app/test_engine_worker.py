"""What a worker is made of: places for those that compute, threads of runs, clocks, the record that outlives it, freed
memory, and what the server does when it dies. Nothing is measured in seconds: the tests wait for states, and times are
numbers that they set."""

import io
import os
import pickle
import queue
import threading
from collections import defaultdict
from dataclasses import dataclass
from functools import partial

import pytest

from app import engine as engine_package
from app.engine import remote
from app.engine.clocks import BEAT_SECONDS, Pulse
from app.engine.commands import Beat, Poll, ViewRequest
from app.engine.records.experiment_record import MOST_LOSSES
from app.engine.records.flight_recorder import Entry, FlightRecorder
from app.engine.records.heartbeats import WORKER, Heartbeats
from app.engine.records.stored import Stored
from app.engine.remote import WorkerClient
from app.engine.reports import State
from app.engine.training.gate import MOST_ARREARS_SECONDS, Gate, Ticket
from app.engine.worker import __main__ as worker
from app.engine.worker.crowding import ENOUGH, LOOK_SECONDS, USEFUL_SHARE, Crowding
from app.engine.worker.housekeeping import EVERY_SECONDS, QUIET_SHARE, WORK_SECONDS, House
from tests.app.engine_bench import EXPERIMENT
from tests.served import wait_for

PATIENCE_SECONDS = 100.0


class Times:
    """Seconds of a processor that each thread has had."""

    def __init__(self):
        self.of = defaultdict(float)

    def __call__(self):
        return self.of[threading.get_ident()]

    def work(self, seconds):
        self.of[threading.get_ident()] += seconds


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


class TestGate:
    @pytest.fixture
    def times(self):
        return Times()

    def test_no_more_long_runs_compute_than_there_are_places_and_who_has_used_the_least_is_next(self, times):
        gate, log = Gate(2, times), []
        first, second = (Holder(gate, name, log, used=3.0) for name in ("first", "second"))
        for one in (first, second):
            assert one.inside.wait(PATIENCE_SECONDS)
        later = [Holder(gate, name, log, used=used) for name, used in (("much", 3.4), ("little", 2.8), ("more", 3.1))]
        waiting(gate, *(one.ticket for one in later))
        assert set(log) == {"first", "second"}
        first.leave()
        for one in (later[1], later[2], later[0]):
            assert one.inside.wait(PATIENCE_SECONDS)
            one.leave()
        assert log[2:] == ["little", "more", "much"]
        second.leave()
        with gate.work(Ticket()), gate.work(Ticket()):
            pass  # both places were given back

    def test_between_two_parts_others_that_have_used_less_go_first_and_others_do_not(self, times):
        gate, log, ticket = Gate(1, times), [], Ticket()
        with gate.work(ticket):
            other = Holder(gate, "other", log, used=1.0)
            waiting(gate, other.ticket)
            times.work(0.9)
            gate.breathe(ticket)
            assert log == [] and ticket.used == pytest.approx(0.9)
            times.work(0.2)
            threading.Thread(target=lambda: (other.inside.wait(PATIENCE_SECONDS), other.leave())).start()
            gate.breathe(ticket)
            assert log == ["other"]

    def test_who_comes_late_has_few_arrears_and_who_was_alone_for_long_goes_on_soon(self, times):
        gate, log = Gate(1, times), []
        old, new = Ticket(), Ticket()
        with gate.work(old):
            times.work(1_000.0)
        with gate.work(old):
            late = Holder(gate, "late", log)
            waiting(gate, late.ticket)
            assert late.ticket.used == pytest.approx(1_000.0 - MOST_ARREARS_SECONDS)
        assert late.inside.wait(PATIENCE_SECONDS)
        late.leave()
        with gate.work(new):
            assert new.worked == 0.0, "what it really worked is counted apart"


def test_what_each_run_of_a_worker_did_is_known_after_its_death():
    recorder = FlightRecorder()
    assert recorder.entries() == []
    other = FlightRecorder(recorder.path)  # the same file, as the worker maps it
    other.remove()
    other.line().beat()
    other.line("ab" * 16 + ".12").begin(123_456)
    other.line("rests").rest()
    over = other.line("over")
    other.free(over)
    other.line("next").begin(3)
    found = {entry.run: (entry.works, entry.step) for entry in recorder.entries()}
    assert found == {"": (True, 0), "ab" * 16 + ".12": (True, 123_456), "rests": (False, 0), "next": (True, 3)}
    assert not recorder.path.exists()


class TestHeartbeats:
    def entries(self, **signs):
        return [Entry(n, n > 0, run, 0) for run, n in signs.items()]

    def test_a_run_that_works_and_gives_no_sign_is_silent_and_its_neighbours_are_not(self):
        hearts = Heartbeats(0.0)
        for now in range(1, 31):
            hearts.hear([Entry(now, True, WORKER, 0), *self.entries(hangs=7, goes=now, rests=-1)], float(now))
        assert hearts.longer_than(20.0, 120.0, 30.0) == {"hangs"}
        assert (hearts.silence("hangs", 30.0), hearts.silence("goes", 30.0)) == (29.0, 0.0)
        assert hearts.silence("rests", 30.5) == 0.5, "that of its worker"

    def test_a_worker_has_longer_to_start(self):
        hearts = Heartbeats(10.0)
        hearts.hear([], 50.0)
        assert not hearts and hearts.longer_than(20.0, 120.0, 129.0) == frozenset()
        assert hearts.longer_than(20.0, 120.0, 131.0) == {WORKER}


def test_a_process_gives_memory_back_once_after_work_and_after_a_flow_has_left():
    worked = [0.0]
    house = House(cpu=lambda: worked[0])
    busy = 1.1 * QUIET_SHARE * EVERY_SECONDS
    found = []
    for work in (0.9 * WORK_SECONDS, 0.2 * WORK_SECONDS, 0.9 * WORK_SECONDS, busy):
        worked[0] += work
        found.append(house.is_due(EVERY_SECONDS))
    assert found == [False, True, False, False]
    house.flow_left()
    for due in (True, False):
        worked[0] += busy
        assert house.is_due(EVERY_SECONDS) == due


class Dying:
    """A worker that says nothing, and dies as often as `deaths` lets it, while the run "guilty" is at work on step 7
    and "innocent" is not."""

    pid = None

    def __init__(self, deaths):
        self.deaths = deaths

    def send(self, command):
        pass

    def receive(self):
        self.deaths.acquire()
        raise EOFError

    def entries(self):
        return [Entry(1, True, "guilty", 7), Entry(1, False, "innocent", 7)]

    bury = entries

    def kill(self):
        self.deaths.release()

    end = kill


def test_a_process_that_dies_sets_aside_the_run_that_it_was_at_and_no_other(monkeypatch):
    monkeypatch.setattr(remote, "FIRST_DELAY_SECONDS", 0.0)
    deaths = threading.Semaphore(0)
    client = WorkerClient(lambda: 0.0, Stored(), partial(Dying, deaths), lambda *_: None)

    def answer(id):
        return client.poll(Poll(id, ViewRequest()))

    for id in ("guilty", "innocent"):
        client.create(id, EXPERIMENT, None)
    for _ in range(MOST_LOSSES):
        deaths.release()
    wait_for(lambda: answer("guilty").state is State.SET_ASIDE, "the run to be set aside")
    innocent = answer("innocent")
    assert innocent.state is State.LOADING and innocent.restarts == MOST_LOSSES
    client.close()


@pytest.mark.parametrize(("sent", "code"), [(b"", 0), (b"no command", 1)])
def test_a_worker_ends_when_nobody_speaks_to_it_or_not_in_its_language(sent, code, monkeypatch):
    def end(code):
        raise SystemExit(code)

    monkeypatch.setattr(worker.os, "_exit", end)
    commands, begins = queue.SimpleQueue(), threading.Event()
    with pytest.raises(SystemExit) as ended:
        worker.receive(io.BytesIO(pickle.dumps(Beat(1.0)) + sent), commands, begins)
    assert (commands.get(), commands.empty(), ended.value.code) == (Beat(1.0), True, code)
    assert begins.is_set()


def test_there_are_at_most_as_many_workers_as_cores_or_as_the_cluster_has(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert engine_package.worker_count("4") == 4
    assert engine_package.worker_count("7", 7) == 7
    for text in ("5", "0", "many"):
        with pytest.raises(ValueError, match=r"RESFLOW_WORKERS = .* from 1 to 4"):
            engine_package.worker_count(text)


def test_the_pulse_calls_each_second_of_ten_beats_and_stops():
    seconds = []
    pulse = Pulse(lambda: seconds.append(pulse()))
    wait_for(lambda: seconds, "a second")
    assert seconds[0] == 10 * BEAT_SECONDS
    pulse.stop()
    pulse._thread.join(60)
    assert not pulse._thread.is_alive()


@dataclass
class Asked:
    wants_steps_since: float
    crowded_out: bool = False


def looked(runs, capacity, looks=1):
    """Who trains after so many looks, where all steps together get `capacity` of a processor."""
    crowding = Crowding(0.0)
    for look in range(1, looks + 1):
        crowding.note(capacity * LOOK_SECONDS)
        crowding.look(look * LOOK_SECONDS, runs)
    return [run.wants_steps_since for run in runs if not run.crowded_out]


@pytest.mark.parametrize("capacity", [0.9, 0.05])
def test_each_that_trains_has_a_useful_pace_and_few_could_be_added(capacity):
    runs = [Asked(float(k)) for k in range(200)]
    going = looked(runs, capacity, 20)
    assert going == [run.wants_steps_since for run in runs][: len(going)]  # who came first
    assert capacity / ENOUGH**2 <= len(going) * USEFUL_SHARE <= capacity


def test_those_that_were_asked_last_wait_in_whichever_order_they_are_listed():
    runs = [Asked(float(since)) for since in (3, 0, 4, 1, 2)]
    assert sorted(looked(runs, 2 * USEFUL_SHARE)) == [0, 1]


def test_those_that_wait_the_longest_go_on_first():
    runs = [Asked(float(since), crowded_out=since > 0) for since in (3, 0, 4, 1, 2)]
    assert sorted(looked(runs, 3 * ENOUGH * USEFUL_SHARE)) == [0, 1, 2]
    assert sorted(looked(runs, 3 * ENOUGH * USEFUL_SHARE)) == [0, 1, 2]  # that is not enough for a fourth


def test_one_always_trains():
    assert looked([Asked(2.0), Asked(1.0)], 0.0, 5) == [1.0]
    runs = [Asked(2.0, crowded_out=True), Asked(1.0, crowded_out=True)]
    Crowding(0.0).look(0.0, runs)
    assert [run.crowded_out for run in runs] == [True, False]
    Crowding(0.0).look(100.0, [])
