"""Training processes that are killed, freeze or cannot go on: their pages are told, and others go on."""

import os
import signal
import time
from pathlib import Path

import pytest

from app.engine import remote
from app.engine.commands import Beat, ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.remote import RemoteEngine
from app.engine.reports import State
from app.engine.training.job_records import DIGITS
from app.engine.worker.floor import DROP_SECONDS
from app.engine.worker.process import Spare
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Roulette
from resflow_core.training.trainer import TrainConfig
from tests.served import wait_for

ARM = Arm(FlowConfig(blocks=2, width=8), TrainConfig(batch=50), "moons")
ONE = Experiment((ARM,), 0)
COMPARISON = Experiment(tuple(Arm(FlowConfig(blocks=4, width=w), TrainConfig(), "moons") for w in (8, 16, 32)), 0)
DIGIT_FLOW = Arm(FlowConfig(blocks=2, width=32, dim=64), TrainConfig(batch=32, log_det=Roulette()), DIGITS)
VIEW_REQUEST = ViewRequest(grid=16, points=40)
KILLS = 20


@pytest.fixture
def engine():
    engine = RemoteEngine()
    yield engine
    engine.close_all()


def started(engine, *experiments):
    """Runs of these experiments that play."""
    ids = [engine.create(experiment) for experiment in experiments]
    for id in ids:
        engine.play(id)
        wait_for(lambda id=id: step(engine, id) > 0, "the first steps")
    return ids


def step(engine, id):
    report = engine.poll(id, VIEW_REQUEST)
    return report.arms[0].step if report.arms else -1


def trained(engine, id):
    """For how many seconds."""
    return engine.poll(id, VIEW_REQUEST).arms[0].seconds


def kill(engine):
    (pid,) = wait_for(engine.pids, "a training process")
    os.kill(pid, signal.SIGKILL)


def test_a_frozen_process_is_spoken_of_and_replaced_and_its_runs_go_on(engine, monkeypatch):
    monkeypatch.setattr(remote, "HANGS_SECONDS", 6.0)
    playing, paused = started(engine, ONE, ONE)
    engine.pause(paused)
    wait_for(lambda: engine.poll(paused, VIEW_REQUEST).state is State.PAUSED, "the pause")
    (pid,) = engine.pids()
    os.kill(pid, signal.SIGSTOP)
    told = wait_for(lambda: (r := engine.poll(playing, VIEW_REQUEST)).message and r, "a word about the silence")
    assert (told.state, told.restarts, told.arms[0].steps_per_second) == (State.PLAYING, 0, 0.0)
    assert engine.poll(paused, VIEW_REQUEST).message == ""  # it waits for nothing
    before = told.arms[0].step
    wait_for(lambda: engine.poll(playing, VIEW_REQUEST).restarts == 1, "another process")
    wait_for(lambda: step(engine, playing) > before, "more steps")
    assert engine.pids() != [pid]


def test_a_dropped_run_goes_on_when_somebody_plays_it(engine):
    (id,) = started(engine, ONE)
    wait_for(lambda: step(engine, id) > 20, "20 steps")
    engine.leave(id)
    saved = wait_for(lambda: (m := engine._links[0]._records.get(id)) and m.checkpoint and m.saved_step, "a checkpoint")
    with engine._links[0]._lock:
        engine._links[0]._put(Beat(DROP_SECONDS + 1))
    dropped = wait_for(lambda: (m := engine._links[0]._dropped.get(id)) and m.answer(), "its end")
    assert dropped.state is State.EXPIRED and dropped.resumes_at >= saved
    assert f"{dropped.resumes_at:,}" in dropped.message
    engine.play(id)
    wait_for(lambda: step(engine, id) > dropped.resumes_at, "steps after the checkpoint")
    assert engine.poll(id, VIEW_REQUEST).state is State.PLAYING
    engine.close(id)
    assert engine.poll(id, VIEW_REQUEST).resumes_at is None


def test_a_run_at_which_the_process_dies_twice_is_set_aside_and_can_be_tried_again(engine):
    """It dies as soon as it works on the one run, and at the same step: what stands in the recorder is its doing."""
    culprit, other = started(engine, ONE, ONE)
    engine.pause(culprit)
    link = engine._links[0]

    def rests():
        """Also by its own line: one that still works says at which step it does."""
        report = engine.poll(culprit, VIEW_REQUEST)
        is_paused = report.state is State.PAUSED and report.confirmed
        return is_paused and not any(one.works for one in link._worker.entries() if one.run == culprit)

    for deaths in (1, 2):
        wait_for(rests, "the pause")
        os.kill(engine.pids()[0], signal.SIGSTOP)
        link._worker._recorder.line(culprit).begin(7)
        kill(engine)
        wait_for(lambda n=deaths: engine.poll(other, VIEW_REQUEST).restarts == n, "its end")
        wait_for(lambda: engine.poll(other, VIEW_REQUEST).state is State.PLAYING, "the other to play on")
    report = engine.poll(culprit, VIEW_REQUEST)
    assert report.state is State.SET_ASIDE and "2 times" in report.message
    engine.play(culprit)
    wait_for(lambda: engine.poll(culprit, VIEW_REQUEST).state is State.PLAYING, "it to be tried again")


def test_a_process_that_ends_takes_less_than_a_second_of_training_with_it(engine):
    """A small flow is saved that often, though it is only kept every five seconds for who goes back in time."""
    (id,) = started(engine, ONE)
    lost = []
    for kills in range(1, 5):
        wait_for(lambda s=2.0 * kills: trained(engine, id) > s, "two seconds of training")
        before = trained(engine, id)
        kill(engine)
        wait_for(lambda n=kills: engine.poll(id, VIEW_REQUEST).restarts == n, "the end of the process")
        wait_for(lambda: engine.poll(id, VIEW_REQUEST).state is State.PLAYING, "it to go on")
        lost.append(before - trained(engine, id))
    print(f"\nseconds of training that were lost: {[round(one, 2) for one in lost]}")
    assert max(lost) < 1.0


def test_another_process_stands_by_with_all_it_needs():
    spare = Spare(after=0.0)
    engine = RemoteEngine(1, spare)
    try:
        (id,) = started(engine, ONE)
        waiting = wait_for(lambda: spare._spare and spare._spare.pid, "a spare process")
        wait_for(lambda: "libtorch" in Path(f"/proc/{waiting}/maps").read_text(), "its imports")
        before = step(engine, id)
        kill(engine)
        wait_for(lambda: engine.poll(id, VIEW_REQUEST).restarts == 1, "the end of the process")
        wait_for(lambda: step(engine, id) > before, "more steps")
        assert engine.pids() == [waiting]
        after = wait_for(lambda: spare._spare and spare._spare.pid, "the next spare process")
        assert after != waiting
    finally:
        engine.close_all()
        spare.close()
    wait_for(lambda: not Path(f"/proc/{after}").exists(), "its end")


def test_twenty_kills_lose_nothing_and_leave_short_gaps(engine):
    """With a comparison and digits in training, a process is killed whenever all move again."""
    ids = started(engine, ONE, COMPARISON, Experiment((DIGIT_FLOW,), 0))
    gaps = []
    for kills in range(1, KILLS + 1):
        kill(engine)
        died = time.monotonic()
        wait_for(
            lambda n=kills: all(engine.poll(id, VIEW_REQUEST).restarts == n for id in ids), "the end of the process"
        )
        for id in ids:
            if engine.poll(id, VIEW_REQUEST).state is State.SET_ASIDE:  # killed twice at one step, as if by its doing
                engine.play(id)
        wait_for(lambda: all(engine.poll(id, VIEW_REQUEST).state is State.PLAYING for id in ids), "all to play")
        gaps.append(time.monotonic() - died)
    print(f"\nseconds until all played again: median {sorted(gaps)[KILLS // 2]:.1f}, longest {max(gaps):.1f}")
    for id in ids:
        before = step(engine, id)
        wait_for(lambda id=id, before=before: step(engine, id) > before, "more steps")
