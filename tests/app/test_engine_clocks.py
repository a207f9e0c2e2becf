"""The pulse of the server, and what the training process leaves behind of its work."""

import subprocess
import sys
import threading

import pytest

from app.engine.clocks import BEAT_SECONDS, Pulse
from app.engine.records import flight_recorder
from app.engine.records.flight_recorder import Entry, FlightRecorder
from app.engine.records.heartbeats import WORKER, Heartbeats
from tests.served import ROOT, wait_for


@pytest.mark.slow
def test_the_pulse_stands_still_while_its_process_is_late():
    """Held up for ten times as long as all its beats take, it counts one beat."""
    held, go_on, beaten = threading.Event(), threading.Event(), []

    def hold_up():
        if not held.is_set():
            held.set()
            go_on.wait(300)
        beaten.append(pulse())

    pulse = Pulse(hold_up)
    try:
        assert held.wait(300)
        stands = pulse()
        assert stands == 10 * BEAT_SECONDS
        threading.Event().wait(20 * BEAT_SECONDS)
        assert pulse() == stands
        go_on.set()
        wait_for(lambda: len(beaten) >= 2, "another second")
        assert beaten[:2] == [stands, stands + 10 * BEAT_SECONDS]
    finally:
        go_on.set()
        pulse.stop()


def test_a_pulse_that_is_stopped_counts_no_more():
    pulse = Pulse()
    wait_for(lambda: pulse() > 0, "a beat")
    pulse.stop()
    pulse._thread.join(60)
    assert not pulse._thread.is_alive()


def test_what_each_run_of_a_worker_did_is_known_after_its_death():
    recorder = FlightRecorder()
    assert recorder.entries() == []
    script = (
        "import os, sys; from pathlib import Path; from app.engine.records.flight_recorder import FlightRecorder as F\n"
        "r = F(Path(sys.argv[1])); r.remove(); r.line().beat(); one = r.line('ab' * 16 + '.12'); one.begin(123_456)\n"
        "r.line('rests').rest(); over = r.line('over'); r.free(over); r.line('next').begin(3); os.kill(os.getpid(), 9)"
    )
    process = subprocess.run([sys.executable, "-c", script, str(recorder.path)], cwd=ROOT, check=False)
    assert process.returncode == -9
    found = {entry.run: (entry.works, entry.step) for entry in recorder.entries()}
    assert found == {"": (True, 0), "ab" * 16 + ".12": (True, 123_456), "rests": (False, 0), "next": (True, 3)}
    assert not recorder.path.exists()


def test_of_more_runs_than_there_are_lines_the_last_have_none(monkeypatch):
    monkeypatch.setattr(flight_recorder, "PLACES", 2)
    recorder = FlightRecorder()
    lines = [recorder.line(name) for name in "abc"]
    for line in lines:
        line.begin(1)
    assert {entry.run for entry in recorder.entries()} == {"a", "b"}
    recorder.free(lines[2])
    recorder.free(lines[0])
    recorder.line("d").begin(1)
    assert {entry.run for entry in recorder.entries()} == {"b", "d"}
    recorder.remove()


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

    def test_a_run_that_rested_may_begin_again_late(self):
        hearts = Heartbeats(0.0)
        hearts.hear(self.entries(a=1), 1.0)
        hearts.hear(self.entries(a=-2), 2.0)
        hearts.hear(self.entries(a=3), 100.0)
        assert hearts.longer_than(20.0, 120.0, 110.0) == frozenset()

    def test_a_worker_has_longer_to_start(self):
        hearts = Heartbeats(10.0)
        hearts.hear([], 50.0)
        assert not hearts and hearts.longer_than(20.0, 120.0, 129.0) == frozenset()
        assert hearts.longer_than(20.0, 120.0, 131.0) == {WORKER}
