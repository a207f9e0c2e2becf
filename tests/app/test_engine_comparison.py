"""Arms that are runs of their own, held in step: with workers that only count steps, and with real ones."""

from dataclasses import dataclass, replace

import pytest

from app.engine.commands import Change, Close, Look, Pause, Play, Poll, Reset, Step, ViewRequest, Wish
from app.engine.comparison import AHEAD_SECONDS, Comparison, merged, name_of, places
from app.engine.experiment import Arm, Experiment
from app.engine.local import PLAY_STEPS, LocalEngine
from app.engine.records.experiment_record import NOWHERE, Where
from app.engine.reports import UNKNOWN, ArmReport, Report, State
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of threads that end

ARM = Arm(FlowConfig(blocks=1, width=8), TrainConfig(batch=20), "moons")
LOSSES = ViewRequest(frames=False)
BETWEEN_REPORTS = 0.25


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


class TestStops:
    @pytest.mark.parametrize("state", [State.DIVERGED, State.SET_ASIDE])
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


class TestWhole:
    def test_it_has_arms_once_all_have_and_one_place_in_the_queue(self):
        there, loads = Report("", State.PAUSED, (ArmReport(0, 0.0, 0.0),)), Report("", State.LOADING)
        assert merged("all", [there, loads], State.LOADING, 0).arms == ()
        assert len(merged("all", [there, there], State.PAUSED, 0).arms) == 2
        queued = [Report("", State.QUEUED, queue_place=k, message=f"Number {k}.") for k in (2, 4, 3)]
        report = merged("all", queued, State.QUEUED, 0)
        assert (report.queue_place, report.message) == (4, "Number 4.")

    def test_a_run_can_be_resumed_only_if_all_arms_can(self):
        dropped = [Report("", State.EXPIRED, resumes_at=step, message="Dropped.") for step in (30, 40)]
        unknown = Report("", State.EXPIRED, message=UNKNOWN)
        assert merged("all", dropped, State.EXPIRED, 0).resumes_at == 40
        assert merged("all", [*dropped, unknown], State.EXPIRED, 0).resumes_at is None


class TestPlaces:
    def test_dear_and_cheap_arms_are_shared_out_evenly(self):
        dear = replace(ARM, flow=FlowConfig(blocks=4, width=128))
        found = places([dear, ARM, dear, ARM], [(0, 0), (0, 0)])
        assert {found[0], found[2]} == {found[1], found[3]} == {0, 1}
        assert sorted(places([ARM] * 30, [(0, 0)] * 3)) == [0] * 10 + [1] * 10 + [2] * 10


@pytest.mark.thorough
def test_in_this_process_all_arms_are_at_one_step_after_each_poll():
    dear = replace(ARM, flow=FlowConfig(blocks=4, width=32))
    engine = LocalEngine(300.0)
    id, alone = engine.create(Experiment((dear, ARM, ARM), 0)), engine.create(Experiment((ARM,), 0))
    engine.play(id)
    engine.play(alone)
    for polls in (1, 2):
        report = engine.poll(id, LOSSES)
        assert engine.poll(alone, LOSSES).arms[0].step >= polls * PLAY_STEPS
        assert report.state is State.PLAYING
        assert [arm.step for arm in report.arms] == [polls * PLAY_STEPS] * 3
    engine.pause(id)
    report = engine.poll(id, LOSSES)
    assert (report.state, report.confirmed) == (State.PAUSED, True)
    assert [arm.step for arm in report.arms] == [2 * PLAY_STEPS] * 3
