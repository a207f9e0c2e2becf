"""What the server does when a training process ends, with workers that only begin and die."""

import threading
from functools import partial

import pytest

from app.engine import remote
from app.engine.commands import Poll, ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.records.experiment_record import MOST_LOSSES
from app.engine.records.flight_recorder import Entry
from app.engine.records.stored import Stored
from app.engine.remote import WorkerClient
from app.engine.reports import State
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig
from tests.served import wait_for

EXPERIMENT = Experiment((Arm(FlowConfig(), TrainConfig(), "moons"),), 0)


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


@pytest.fixture
def deaths():
    return threading.Semaphore(0)


@pytest.fixture
def client(deaths, monkeypatch):
    monkeypatch.setattr(remote, "FIRST_DELAY_SECONDS", 0.0)
    client = WorkerClient(lambda: 0.0, Stored(), partial(Dying, deaths), lambda *_: None)
    yield client
    client.close()


def test_a_process_that_dies_sets_aside_the_run_that_it_was_at_and_no_other(client, deaths):
    def answer(id):
        return client.poll(Poll(id, ViewRequest()))

    for id in ("guilty", "innocent"):
        client.create(id, EXPERIMENT, None)
    for _ in range(MOST_LOSSES):
        deaths.release()
    wait_for(lambda: answer("guilty").state is State.SET_ASIDE, "the run to be set aside")
    innocent = answer("innocent")
    assert innocent.state is State.LOADING and innocent.restarts == MOST_LOSSES
