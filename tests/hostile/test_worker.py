"""Training processes that are killed, freeze or cannot go on: their pages are told, and others go on."""

import os
import signal
from pathlib import Path

import pytest

from app.engine import remote
from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.remote import RemoteEngine
from app.engine.reports import State
from app.engine.training.job_records import DIGITS
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
KILLS = 4


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


def test_kills_lose_nothing(engine):
    """With a comparison and digits in training, a process is killed whenever all move again."""
    ids = started(engine, ONE, COMPARISON, Experiment((DIGIT_FLOW,), 0))
    for kills in range(1, KILLS + 1):
        before = {id: step(engine, id) for id in ids}
        kill(engine)
        wait_for(
            lambda n=kills: all(engine.poll(id, VIEW_REQUEST).restarts == n for id in ids), "the end of the process"
        )
        for id in ids:
            if engine.poll(id, VIEW_REQUEST).state is State.SET_ASIDE:  # killed twice at one step, as if by its doing
                engine.play(id)
        for id in ids:
            wait_for(lambda id=id, n=before[id]: step(engine, id) > n, "more steps")
