"""Arms that are runs of their own, held in step: with workers that only count steps, and with real ones."""

import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from app.engine.commands import Change, Close, Look, Pause, Play, Poll, Reset, Step, ViewRequest, Wish
from app.engine.comparison import AHEAD_SECONDS, Comparison, merged, name_of, places, request_of, state_of
from app.engine.experiment import Arm, Experiment, parts_of
from app.engine.local import PLAY_STEPS, LocalEngine
from app.engine.records.experiment_record import NOWHERE, Where
from app.engine.remote import RemoteEngine
from app.engine.reports import UNKNOWN, ArmReport, HandedOut, Report, State
from app.engine.training.backends import TORCH_ALONE
from app.engine.worker import __main__ as worker
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig
from tests.app.worker_thread import WorkerThread

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of threads that end

ARM = Arm(FlowConfig(blocks=1, width=8), TrainConfig(batch=20), "moons")
LOSSES = ViewRequest(frames=False)
BETWEEN_REPORTS = 0.25
DEADLINE = 300.0


@dataclass
class Counted:
    """A run that only counts its steps, which take so many seconds."""

    seconds: float
    step: int = 0
    left: float = 0
    more: bool = False
    stopped: State | None = None
    rewinds: int = 0
    time: float = 0.0  # that it has not used yet

    @property
    def state(self):
        return self.stopped or (State.STEPPING if self.left or self.more else State.PAUSED)


class Counter:
    """A `Link` to a worker, whose time passes only by `pass_on`. It has a run for each arm that a test gives it."""

    def __init__(self, **seconds):
        self.runs = {name_of("all", int(arm[1:])): Counted(taken) for arm, taken in seconds.items()}
        self.told, self._heard = [], {}

    def send(self, command):
        run = self.runs[command.id]
        self.told.append(command)
        match command:
            case Step(n=n, more=more):
                run.left, run.more = run.left + n, more
                run.stopped = run.stopped if run.stopped is State.FAILED else None
            case Pause():
                run.left, run.more = 0, False
            case Reset():
                run.left, run.more, run.step, run.stopped = 0, False, 0, State.LOADING
                run.rewinds += 1
            case Close():
                del self.runs[command.id]

    def poll(self, poll):
        return self.report(poll.id) if poll.id in self.runs else None

    def watch(self, id, heard):
        self._heard[id] = heard
        return lambda: self._heard.pop(id)

    def where(self, id):
        if not (run := self.runs.get(id)):
            return NOWHERE
        return Where(run.state, run.step, run.step + run.left, True, run.seconds if run.step else 0.0)

    def export(self, id, arm_index):
        return f"{id}/{arm_index}".encode()

    def report(self, id):
        run = self.runs[id]
        arms = () if run.stopped is State.LOADING else (ArmReport(run.step, 0.0, run.step * run.seconds),)
        return Report(id, run.state, arms, rewinds=run.rewinds)

    def say(self, id, **otherwise):
        self._heard[id](replace(self.report(id), **otherwise))

    def hand_out(self, id):
        self._heard[id](HandedOut(id, self.runs[id].step, (id.encode(),), self.runs[id].rewinds))

    def pass_on(self, seconds):
        """Let those that have steps to take share this time, and all say how far they are."""
        for _ in range(100):
            moving = [run for run in self.runs.values() if run.left and not run.stopped]
            for run in moving:
                run.time += seconds / 100 / len(moving)
                steps = min(run.left, int(run.time / run.seconds + 1e-9))
                run.step, run.left, run.time = run.step + steps, run.left - steps, run.time - steps * run.seconds
        for id in self.runs:
            self.say(id)


def begun(*links, goal=0, **how):
    """A comparison of all arms of these links, which have said that they are there."""
    of = {id: link for link in links for id in link.runs}
    whole = Comparison("all", [of[name_of("all", k)] for k in range(len(of))], goal, **how)
    for id, link in of.items():
        link.say(id)
    return whole


def steps(*links):
    return [run.step for link in links for run in link.runs.values()]


def until_rest(whole, *links):
    for _ in range(1000):
        if all(run.left == 0 for link in links for run in link.runs.values()):
            return whole.poll(Poll("all", LOSSES))
        for link in links:
            link.pass_on(BETWEEN_REPORTS)
    raise AssertionError(steps(*links))


class TestBarrier:
    def test_nobody_is_further_ahead_of_the_slowest_than_the_allowance_and_all_go_on(self):
        fast, slow = Counter(k0=0.001, k1=0.002), Counter(k2=0.05, k3=0.004)
        whole = begun(fast, slow)
        whole.send(Play("all"))
        # Once each has reported its time, of which the slow worker takes the most for a step of all that it has.
        most, ahead = round(AHEAD_SECONDS / 0.054) + 1, []
        for _ in range(400):
            for link in (fast, slow):
                link.pass_on(BETWEEN_REPORTS)
            ahead.append(max(steps(fast, slow)) - min(steps(fast, slow)))
        assert 0 < max(ahead) <= most
        # The slow worker is never out of work: it takes almost as many steps as if it had no other to wait for.
        assert min(steps(fast, slow)) > 0.9 * 400 * BETWEEN_REPORTS / 0.054
        assert whole.poll(Poll("all", LOSSES)).state is State.PLAYING

    def test_after_a_pause_all_go_to_the_step_of_the_furthest_and_only_then_is_it_confirmed(self):
        fast, slow = Counter(k0=0.001), Counter(k1=0.1, k2=0.02)
        whole = begun(fast, slow)
        whole.send(Play("all"))
        for _ in range(3):
            for link in (fast, slow):
                link.pass_on(BETWEEN_REPORTS)
        whole.send(Pause("all"))
        furthest = max(steps(fast, slow))
        assert min(steps(fast, slow)) < furthest
        report = whole.poll(Poll("all", LOSSES))
        assert (report.state, report.confirmed) == (State.PAUSED, False)
        fast.pass_on(BETWEEN_REPORTS)
        report = until_rest(whole, fast, slow)
        assert steps(fast, slow) == [furthest] * 3
        assert (report.state, report.confirmed) == (State.PAUSED, True)

    def test_steps_are_counted_from_where_all_go_to(self):
        one, other = Counter(k0=0.01), Counter(k1=0.1)
        whole = begun(one, other)
        whole.send(Step("all", 5))
        one.pass_on(1.0)
        assert whole.poll(Poll("all", LOSSES)).steps_left == 5
        whole.send(Step("all", 3))
        report = until_rest(whole, one, other)
        assert (steps(one, other), report.state, report.steps_left) == ([8, 8], State.PAUSED, 0)

    def test_one_that_goes_back_is_waited_for(self):
        one, other = Counter(k0=0.01), Counter(k1=0.01)
        whole = begun(one, other)
        whole.send(Step("all", 30))
        until_rest(whole, one, other)
        other.runs["all.1"].step = 10  # its worker was lost, and its last checkpoint was of this step
        other.say("all.1")
        assert until_rest(whole, one, other).confirmed and steps(one, other) == [30, 30]

    def test_those_that_begin_behind_go_to_the_step_of_the_whole_first(self):
        link = Counter(k0=0.01, k1=0.01)
        link.runs["all.0"].step = 7
        whole = begun(link, goal=9)
        until_rest(whole, link)
        assert steps(link) == [9, 9]

    def test_who_drives_it_decides_when_it_goes_on(self):
        link = Counter(k0=0.001, k1=0.1)
        whole = begun(link, plays_on=False)
        whole.go_on(20)
        assert until_rest(whole, link).state is State.PAUSED and steps(link) == [0, 0]
        whole.send(Play("all"))
        for polls in (1, 2):
            whole.go_on(20)
            assert until_rest(whole, link).state is State.PLAYING and steps(link) == [20 * polls] * 2


class TestStops:
    @pytest.mark.parametrize("state", [State.DIVERGED, State.FAILED, State.SET_ASIDE])
    def test_one_stops_all_and_is_named(self, state):
        one, other = Counter(k0=0.01), Counter(k1=0.01, k2=0.01)
        whole = begun(one, other)
        heard = []
        whole.watch("all", heard.append)
        whole.send(Play("all"))
        one.pass_on(BETWEEN_REPORTS)
        run = other.runs["all.1"]
        run.stopped, run.left = state, 0
        other.say("all.1", message="Arm 2: the loss is not a number.")
        for link in (one, other):
            link.pass_on(BETWEEN_REPORTS)
        assert Pause("all.0") in one.told and Pause("all.2") in other.told and Pause("all.1") not in other.told
        (said,) = {report.message for report in heard if report.message}
        assert said.startswith("Arm 2") and heard[-1].state is state
        report = whole.poll(Poll("all", LOSSES))
        assert report.state is state and report.confirmed

    def test_play_goes_on_with_one_that_is_the_furthest(self):
        link = Counter(k0=0.01, k1=0.01)
        whole = begun(link)
        link.runs["all.1"].step, link.runs["all.1"].stopped = 50, State.SET_ASIDE
        link.say("all.1")
        whole.send(Play("all"))
        for _ in range(8):
            link.pass_on(BETWEEN_REPORTS)
        assert min(steps(link)) > 50 and whole.poll(Poll("all", LOSSES)).state is State.PLAYING

    def test_steps_after_a_divergence_do_not_add_to_those_that_were_given_up(self):
        link = Counter(k0=0.01, k1=0.01)
        whole = begun(link)
        whole.send(Step("all", 500))
        link.pass_on(BETWEEN_REPORTS)
        link.runs["all.0"].stopped, link.runs["all.0"].left = State.DIVERGED, 0
        link.say("all.0")
        reached = max(steps(link))
        whole.send(Step("all", 10))
        until_rest(whole, link)
        assert steps(link) == [reached + 10] * 2

    def test_a_reset_gives_the_weights_of_all_one_new_timeline(self):
        link = Counter(k0=0.01, k1=0.01, k2=0.01)
        whole = begun(link)
        whole.send(Step("all", 4))
        until_rest(whole, link)
        heard = []
        whole.watch("all", lambda news: heard.append(news) if isinstance(news, HandedOut) else None)
        whole.send(Reset("all"))
        for id, run in link.runs.items():
            run.stopped = None
            assert not heard, "each would begin another timeline"
            link.say(id)
            link.hand_out(id)
        report = whole.poll(Poll("all", LOSSES))
        assert {one.timeline for one in heard} == {report.timeline}
        assert [one.arms.index(b"all.%d" % k) for k, one in enumerate(heard)] == [0, 1, 2]


class TestOfOneArm:
    def test_changes_files_and_the_rest_go_to_the_runs_that_they_are_about(self):
        one, other = Counter(k0=0.01, k2=0.01), Counter(k1=0.01)
        whole, changed = begun(one, other), TrainConfig(batch=40)
        whole.send(Change("all", 1, changed))
        whole.send(Change("all", 3, changed))
        assert (one.told, other.told) == ([], [Change("all.1", 0, changed)])
        assert [whole.export("all", k) for k in (2, 3, -1)] == [b"all.2/0", None, None]
        looks = []
        one.look = other.look = looks.append
        whole.look(Look("all", Wish(depth=1)))
        assert looks == [Look(f"all.{k}", Wish(depth=1)) for k in range(3)]
        whole.send(Close("all"))
        assert not one.runs and not other.runs and not one._heard and not other._heard

    def test_a_page_wants_of_an_arm_what_it_wants_of_the_whole(self):
        some = replace(LOSSES, pictured=(2,))
        assert [request_of(some, k).pictured for k in (0, 2)] == [(), (0,)]
        assert request_of(LOSSES, 1) == LOSSES

    def test_an_arm_knows_of_the_others(self):
        other = replace(ARM, seed=5, weights=b"saved")
        first, second = parts_of(Experiment((ARM, other), 3))
        assert (second.arms, second.seed, second.numbers) == ((other,), 3, (1,))
        assert first.whole == second.whole == (ARM, replace(other, weights=None))
        assert parts_of(Experiment((ARM,), 3)) == (Experiment((ARM,), 3),)


class TestWhole:
    def test_the_state_is_that_of_the_first_trouble_or_what_was_asked_of_all(self):
        waits = (State.PAUSED, State.STEPPING)
        assert state_of(waits, playing=True, stepping=False) is State.PLAYING
        assert state_of(waits, playing=False, stepping=True) is State.STEPPING
        assert state_of(waits, playing=False, stepping=False) is State.PAUSED
        assert state_of((*waits, State.LOADING, State.QUEUED), playing=True, stepping=False) is State.QUEUED
        assert state_of((State.LOADING, State.DIVERGED), playing=True, stepping=False) is State.DIVERGED

    def test_a_run_can_be_resumed_only_if_all_arms_can(self):
        dropped = [Report("", State.EXPIRED, resumes_at=step, message="Dropped.") for step in (30, 40)]
        unknown = Report("", State.EXPIRED, message=UNKNOWN)
        assert merged("all", dropped, State.EXPIRED, 0).resumes_at == 40
        assert merged("all", [*dropped, unknown], State.EXPIRED, 0).resumes_at is None

    def test_one_place_in_the_queue_is_said_of_all(self):
        queued = [Report("", State.QUEUED, queue_place=k, message=f"Number {k}.") for k in (2, 4, 3)]
        report = merged("all", queued, State.QUEUED, 0)
        assert (report.queue_place, report.message) == (4, "Number 4.")

    def test_it_has_arms_once_all_have(self):
        there, loads = Report("", State.PAUSED, (ArmReport(0, 0.0, 0.0),)), Report("", State.LOADING)
        assert merged("all", [there, loads], State.LOADING, 0).arms == ()
        assert len(merged("all", [there, there], State.PAUSED, 0).arms) == 2


class TestPlaces:
    def test_dear_and_cheap_arms_are_shared_out_evenly(self):
        dear = replace(ARM, flow=FlowConfig(blocks=4, width=128))
        found = places([dear, ARM, dear, ARM], [(0, 0), (0, 0)])
        assert {found[0], found[2]} == {found[1], found[3]} == {0, 1}
        assert sorted(places([ARM] * 30, [(0, 0)] * 3)) == [0] * 10 + [1] * 10 + [2] * 10

    def test_what_trains_there_counts_and_then_how_many_runs_there_are(self):
        assert sorted(places([ARM] * 4, [(4, 4), (1, 1)])) == [0, 1, 1, 1]
        assert places([ARM], [(0, 3), (0, 2)]) == [1]


# Real runs


def poll_until(engine, id, condition, request=LOSSES):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if condition(report := engine.poll(id, request)):
            return report
        time.sleep(0.01)
    raise AssertionError(f"still {report!r}")


def rests_at(step):
    return lambda r: (
        r.confirmed and r.state is State.PAUSED and bool(r.arms) and all(arm.step == step for arm in r.arms)
    )


@pytest.fixture
def threads(monkeypatch):
    """Engines with so many workers in threads, which compile nothing, ended after the test."""
    monkeypatch.setattr(worker, "CompiledWhenReady", lambda: TORCH_ALONE)
    engines, before = [], torch.get_num_threads()

    def engine(workers, **how):
        engines.append(RemoteEngine(workers, WorkerThread, **how))
        return engines[-1]

    yield engine
    for each in engines:
        each.close_all()
    torch.set_num_threads(before)


@pytest.mark.thorough
@pytest.mark.parametrize("workers", [1, 2])
def test_thirty_arms_reach_the_digits_that_each_reaches_alone(threads, workers):
    arms = tuple(replace(ARM, seed=seed, train=TrainConfig(batch=20 + seed % 3)) for seed in range(30))
    engine, local = threads(workers), LocalEngine(DEADLINE)
    id = engine.create(Experiment(arms, 0))
    assert [len(link._records) for link in engine._links] == [30 // workers] * workers
    engine.step(id, 6)
    report = poll_until(engine, id, rests_at(6))
    for k, (arm, trained) in enumerate(zip(arms, report.arms, strict=True)):
        alone = local.create(Experiment((arm,), 0))
        local.step(alone, 6)
        other = local.poll(alone, LOSSES).arms[0]
        assert trained.fingerprint == other.fingerprint
        np.testing.assert_array_equal(trained.loss.batch_nll, other.loss.batch_nll)
        if k % 10 == 0:
            assert engine.export(id, k) == local.export(alone, 0)


@pytest.mark.thorough
def test_in_this_process_all_arms_are_at_one_step_after_each_poll():
    dear = replace(ARM, flow=FlowConfig(blocks=4, width=32))
    engine = LocalEngine(DEADLINE)
    id = engine.create(Experiment((dear, ARM, ARM), 0))
    engine.play(id)
    for polls in (1, 2):
        report = engine.poll(id, LOSSES)
        assert report.state is State.PLAYING
        assert [arm.step for arm in report.arms] == [polls * PLAY_STEPS] * 3
    engine.pause(id)
    report = engine.poll(id, LOSSES)
    assert (report.state, report.confirmed) == (State.PAUSED, True)
    assert [arm.step for arm in report.arms] == [2 * PLAY_STEPS] * 3


@pytest.mark.thorough
def test_steps_that_are_asked_for_before_the_first_report_begin_at_the_checkpoint(threads):
    experiment, engine = Experiment((ARM, replace(ARM, seed=1)), 0), threads(1)
    id = engine.create(experiment)
    engine.step(id, 5)
    poll_until(engine, id, rests_at(5))
    assert engine.preserve(id) == 5
    back = engine.create(experiment, 5)
    engine.step(back, 3)
    poll_until(engine, back, rests_at(8))


@pytest.mark.thorough
def test_the_next_server_has_the_comparisons_whose_records_are_whole(threads):
    records = {}
    experiment, engine = Experiment((ARM, replace(ARM, seed=1)), 0), threads(2, keep=records.__setitem__)
    id, other = engine.create(experiment), engine.create(experiment)
    for one in (id, other):
        engine.step(one, 5)
        poll_until(engine, one, rests_at(5))
    poll_until(engine, id, lambda _: all(kept.checkpoint and kept.checkpoint.step == 5 for kept in records.values()))
    assert records.keys() == {f"{one}.{k}" for one in (id, other) for k in range(2)}
    del records[f"{other}.1"]
    # As an earlier version of this code wrote them: a run of several arms.
    together = replace(records[f"{id}.0"], experiment=experiment, checkpoint=None)
    found = threads(1)
    found.restore({**records, "undivided": together, "part.0": replace(together, experiment=experiment)})
    assert all(found.poll(lost, LOSSES).state is State.EXPIRED for lost in (other, "undivided", "part"))
    poll_until(found, id, rests_at(5))
    found.step(id, 2)
    poll_until(found, id, rests_at(7))
    engine.close(id)
    assert records[f"{id}.0"] is records[f"{id}.1"] is None
