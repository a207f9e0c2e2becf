"""The pulse of the server, and what the training process leaves behind of its work."""

import subprocess
import sys
import threading

import pytest

from app.engine.clocks import BEAT_SECONDS, Pulse
from app.engine.flight_recorder import Entry, FlightRecorder
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


def test_what_a_process_worked_on_is_known_after_its_death():
    recorder = FlightRecorder()
    assert recorder.last() == Entry(0, "", 0)
    script = (
        "import os, sys; from pathlib import Path; from app.engine.flight_recorder import FlightRecorder as F\n"
        "r = F(Path(sys.argv[1])); r.remove(); r.begin(); r.begin('ab' * 16 + '.29', 123_456); os.kill(os.getpid(), 9)"
    )
    process = subprocess.run([sys.executable, "-c", script, str(recorder.path)], cwd=ROOT, check=False)
    assert process.returncode == -9
    assert recorder.last() == Entry(2, "ab" * 16 + ".29", 123_456)
    assert not recorder.path.exists()
