"""Runs in threads of their own, as a worker has them. Nothing is measured in seconds: the tests wait for states."""

import os
import queue
import sys
import threading
import time
from typing import ClassVar

import pytest
import torch

from app.engine.clocks import Clocks
from app.engine.commands import Change, Close, Create, Leave, Pause, Play, Poll, Reset, Step
from app.engine.records import flight_recorder
from app.engine.reports import Checkpoint, Report, State
from app.engine.training.gate import SHORT_SECONDS, Gate
from app.engine.worker import __main__ as worker
from app.engine.worker.floor import ASIDE_SECONDS, Floor
from resflow_core.training.trainer import TrainConfig
from tests.app.engine_bench import BLIND, EXPERIMENT, FakeJob, with_train
from tests.served import wait_for

LONG, SHORT = TrainConfig(batch=4_000), TrainConfig(batch=100)


class Job(FakeJob):
    """A step of a large batch takes twice the time of a short one, of a processor. Each notes where it was taken."""

    taken: ClassVar[list] = []

    def step(self, breathe):
        thread = threading.get_native_id()
        priority = os.getpriority(os.PRIO_PROCESS, thread) if sys.platform == "linux" else 0
        self.taken.append((self.train.batch, thread, priority, torch.is_grad_enabled(), torch.get_num_threads()))
        end = time.thread_time() + 2 * SHORT_SECONDS * (self.train.batch == LONG.batch)
        while time.thread_time() < end:
            sum(range(1_000))
        self.step_count += 1


class Threads:
    """A floor whose runs are threads, and what they said."""

    def __init__(self, job):
        self.said, self.again = queue.SimpleQueue(), queue.SimpleQueue()
        self.all, self.attendance = [], 0.0
        self.recorder = flight_recorder.FlightRecorder()
        self.recorder.remove()
        self.floor = Floor(
            self.said.put, self.begin, Clocks(attendance=lambda: self.attendance), gate=Gate(2), memory=lambda: 0,
            new_job=job, new_line=self.recorder.line,
        )  # fmt: skip

    def begin(self, run):
        worker.begin(run, self.recorder, self.again.put)

    def do(self, *commands):
        for command in commands:
            self.floor.handle(command)

    def wait_for(self, found, what):
        def probe():
            self.floor.look_around()
            while not self.again.empty():
                self.begin(self.again.get())
            while not self.said.empty():
                self.all.append(self.said.get())
            return found()

        return wait_for(probe, what)

    def last(self, id):
        return next((m for m in reversed(self.all) if isinstance(m, Report) and m.id == id), None)

    def step(self, id):
        last = self.last(id)
        return last.arms[0].step if last and last.arms else -1


@pytest.fixture
def threads():
    made = []

    def enter(job):
        made.append(Threads(job))
        return made[-1]

    yield enter
    for one in made:
        one.floor.end_all()


def test_a_run_of_long_steps_has_a_lower_priority_until_its_steps_are_short_again(threads):
    class Noting(Job):
        taken: ClassVar = []

    here = threads(Noting)
    here.do(Create("a", with_train(batch=SHORT.batch)), Poll("a", BLIND), Step("a", 5))
    here.wait_for(lambda: here.step("a") == 5, "short steps")
    here.do(Change("a", 0, LONG), Step("a", 4))
    here.wait_for(lambda: here.step("a") == 9, "long steps")
    here.do(Change("a", 0, SHORT), Step("a", 1))
    here.wait_for(lambda: here.step("a") == 10, "a short step again")
    here.do(Step("a", 1))
    here.wait_for(lambda: here.step("a") == 11, "another one")
    usual = os.getpriority(os.PRIO_PROCESS, 0) if sys.platform == "linux" else 0
    assert all(grad and threads == 1 for *_, grad, threads in Noting.taken)
    priorities = [priority for _, _, priority, *_ in Noting.taken]
    assert priorities[:5] == [usual] * 5 and priorities[-1] == usual
    if sys.platform == "linux":
        assert max(priorities[5:9]) > usual
        assert Noting.taken[0][1] != Noting.taken[-1][1], "another thread, whose priority was never lowered"


def test_a_run_that_is_aside_has_no_thread_until_its_page_is_back(threads):
    class Noting(Job):
        taken: ClassVar = []

    here = threads(Noting)
    here.do(Create("a", EXPERIMENT), Poll("a", BLIND), Step("a", 5))
    here.wait_for(lambda: here.step("a") == 5, "steps")
    first = Noting.taken[-1][1]
    here.do(Leave("a"))
    here.attendance += 2 * ASIDE_SECONDS
    here.wait_for(lambda: first not in {thread.native_id for thread in threading.enumerate()}, "the end of its thread")
    here.do(Poll("a", BLIND), Step("a", 2))
    here.wait_for(lambda: here.step("a") == 7, "steps from where it was")
    here.do(Leave("a"))
    here.attendance += 2 * ASIDE_SECONDS
    here.wait_for(lambda: not any(thread.name == "run" for thread in threading.enumerate()), "the end of its thread")
    assert len(here.recorder.entries()) == 1
    here.do(Close("a"))
    here.wait_for(lambda: not here.recorder.entries(), "its line to be free")


def test_a_pause_is_obeyed_between_two_steps_and_a_run_at_rest_waits(threads):
    class Noting(Job):
        taken: ClassVar = []

    here = threads(Noting)
    here.do(Create("a", EXPERIMENT), Poll("a", BLIND), Play("a"))
    here.wait_for(lambda: here.step("a") > 20, "steps")
    here.do(Pause("a"))
    here.wait_for(lambda: here.last("a").state is State.PAUSED, "the pause")
    at = len(Noting.taken)
    here.do(Play("a"), Pause("a"), Play("a"))
    here.wait_for(lambda: len(Noting.taken) > at + 20, "more steps")


class Hangs(FakeJob):
    """Its second step gives signs until it is called off."""

    began = threading.Event()

    def step(self, breathe):
        self.step_count += 1
        while self.step_count == 2:
            self.began.set()
            breathe()


@pytest.mark.parametrize("command", [Close, Reset])
def test_a_step_that_is_under_way_is_broken_off_by_who_closes_the_run_or_begins_it_anew(threads, command):
    Hangs.began.clear()
    here = threads(Hangs)
    here.do(Create("a", EXPERIMENT), Poll("a", BLIND), Play("a"))
    here.wait_for(Hangs.began.is_set, "the step")
    here.do(command("a"))
    if command is Reset:
        here.wait_for(lambda: here.last("a").state is State.PAUSED and here.step("a") == 0, "the new beginning")
        here.do(Close("a"))
    here.wait_for(lambda: not [entry for entry in here.recorder.entries() if entry.run == "a"], "its end")
    assert not any(m.step == 2 for m in here.all if isinstance(m, Checkpoint)), "half a step is not saved"


def test_a_run_that_hangs_is_known_by_its_line_and_its_neighbours_go_on(threads):
    class Stuck(FakeJob):
        release = threading.Event()

        def step(self, breathe):
            self.step_count += 1
            if self.arm.train.batch == LONG.batch:
                self.release.wait()

    here = threads(Stuck)
    here.do(Create("stuck", with_train(batch=LONG.batch)), Create("goes", with_train(batch=SHORT.batch)))
    here.do(*(Poll(id, BLIND) for id in ("stuck", "goes")), Play("stuck"), Play("goes"))
    here.wait_for(lambda: here.step("goes") > 50, "steps of the neighbour")

    def line(id):
        return next(entry for entry in here.recorder.entries() if entry.run == id)

    before = line("stuck"), line("goes")
    here.wait_for(lambda: line("goes").signs > before[1].signs + 20, "signs of the neighbour")
    assert line("stuck") == before[0] and line("stuck").works
    Stuck.release.set()
