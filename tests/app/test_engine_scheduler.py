"""Laws of the scheduler, on a clock that only work moves."""

import itertools
import json
import pickle
import sys
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from app.engine import crowding, scheduler, step_time, views
from app.engine.budget import BURST_SECONDS, SHARE, LookBudget
from app.engine.commands import (
    Attend,
    Change,
    Close,
    Create,
    Export,
    Leave,
    Look,
    Pause,
    Play,
    Poll,
    Reset,
    Step,
    ViewRequest,
    Wish,
)
from app.engine.experiment import Arm, Experiment
from app.engine.history import MOST, HeldOut, History
from app.engine.measurements import MEASUREMENTS
from app.engine.measurements.activity import Activity
from app.engine.measurements.derivatives import Derivatives
from app.engine.measurements.inversion import InversionRequest, Inversions
from app.engine.measurements.jacobians import Jacobians
from app.engine.measurements.masses import Masses
from app.engine.reports import Checkpoint, Exported, Frame, HandedOut, Report, State, adds_nothing
from app.engine.run import CHECKPOINT_SECONDS, PASSING_SECONDS, PASSING_SHARE, SLICE_SECONDS, Run
from app.engine.scheduler import Scheduler
from app.engine.weights import Weights, decode
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Truncated
from resflow_core.measure import Edited, Estimate
from resflow_core.training.trainer import Diverged, TrainConfig
from tests.app.pages import named
from tests.app.requests import wanting

FRAME_COST, PIECE_COST, MASS_PIECES, INVERSION_PIECES, ACTIVITY_PIECES = 0.02, 0.01, 12, 20, 15
DERIVATIVES_COST, WEIGHTS_COST = 0.015, 0.0002
EXPERIMENT = Experiment((Arm(FlowConfig(), TrainConfig(batch=500), "moons"),), seed=0)
PAIR = Experiment(EXPERIMENT.arms * 2, seed=0)
BLIND = ViewRequest(frames=False)
PAGE = ViewRequest(measured={"masses": True})
ACTIVE = wanting(PAGE, {"activity": "all"})
DRAWS = ViewRequest(frames=False, weights=True)
QUICK = Experiment((Arm(FlowConfig(), TrainConfig(batch=200), "moons"),), seed=0)


class FakeJob:
    """Work of known cost: a batch of b points takes b / 100,000 s; a learning rate of 0.1 diverges at step 50."""

    device = "cpu"

    device_reason = ""
    fingerprint = why_torch = ""
    hastens, has_weights = False, True

    def __init__(self, arm, seed, device, clock):
        self.arm, self.train, self._clock = arm, arm.train, clock
        self.step_count, self.seconds = 0, 0.0

    def configure(self, train):
        self.train = train

    def step(self):
        if self.train.learning_rate == 0.1 and self.step_count == 49:
            raise Diverged("Lower the learning rate.")
        if self.train.learning_rate == 0.05:
            raise TypeError("a bug")
        self._clock.now += self.train.batch / 100_000
        self.step_count += 1

    def hasten(self):
        self.hastened_at = self.step_count

    def record_next_step(self, request):
        self.recorded = True

    def hand_over_parts(self):
        return None

    def measure_held_out(self, demand):
        yield from ()  # one piece
        self._clock.now += FRAME_COST
        return "blocks"

    def export(self):
        return b"flow"

    def curves(self):
        return History().curves()

    def frame(self, demand):
        yield from ()  # one piece
        self._clock.now += FRAME_COST
        empty = np.empty((0, 2), np.float32)
        return Frame(self.step_count, empty, empty, empty, empty if demand.samples else None)

    def weights(self, demand):
        self._clock.now += WEIGHTS_COST
        return Weights(self.step_count, json.dumps({"edited": demand.edited and demand.edited.scale}), np.zeros(3))

    def save(self):
        return pickle.dumps(self.step_count)

    def restore(self, saved):
        self.step_count = pickle.loads(saved)


@pytest.fixture(autouse=True)
def expected(monkeypatch):
    """Steps are expected to take what they take here, not what the formula says of the machine that runs the tests."""
    monkeypatch.setattr(step_time, "_seconds", lambda flow, train: train.batch / 100_000)


def at_once(job):
    """What builds such a job, in one piece."""

    def building(*args):
        yield from ()
        return job(*args)

    return building


def in_pieces(count, cost, record):
    """A measurement of so many pieces beside the record, each of known cost."""

    def pieces(job, request, wanted):
        step = job.step_count
        for _ in range(count):
            job._clock.now += cost
            yield None
        yield record(job, request, wanted, step)

    return pieces


def masses_of(cells):
    return in_pieces(MASS_PIECES, PIECE_COST, lambda job, r, wanted, step: Masses(step, job.train.log_det, cells, None))


def derivatives(job, request, wanted):
    job._clock.now += DERIVATIVES_COST
    yield Derivatives(job.step_count, None, None)


COSTS = {
    "masses": {"pieces": masses_of("rough"), "at_rest": masses_of("fine")},
    "inversion": {
        "pieces": in_pieces(
            INVERSION_PIECES, PIECE_COST, lambda job, r, wanted, step: Inversions(step, wanted, r.edited, None)
        )
    },
    "activity": {
        "pieces": in_pieces(
            ACTIVITY_PIECES, PIECE_COST, lambda job, r, wanted, step: Activity(step, 0, wanted, *[None] * 6)
        )
    },
    "derivatives": {"pieces": derivatives},
}


@pytest.fixture(autouse=True)
def measurements_of_known_cost(monkeypatch):
    for view, measurement in views.MEASURED.items():
        costs = COSTS.get(view.name, {})
        monkeypatch.setitem(views.MEASURED, view, replace(measurement, **costs))


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self):
        return self.now


@dataclass
class Bench:
    """A scheduler, its clock and all that it said."""

    scheduler: Scheduler
    clock: Clock
    said: list[Report | Checkpoint] = field(default_factory=list)

    def do(self, *commands):
        for command in commands:
            self.scheduler.handle(command)

    def run(self, seconds, demands=None):
        """Work for `seconds`, polling each id of `demands` once a second."""
        end, polled = self.clock.now + seconds, -1.0
        for tick in itertools.count():
            if self.clock.now >= end:
                break
            if demands and self.clock.now >= polled + 1:
                polled = self.clock.now
                self.do(*(Poll(id, demand) for id, demand in demands.items()))
            self.said += self.scheduler.tick()
            # In a crowd not after every tick: who sleeps wrongly does so until its page polls.
            if not tick % (1 + len(self.scheduler._runs) // 4):
                self.check_that_none_sleeps_wrongly()
            if not self.scheduler.is_busy():
                self.clock.now += 0.01
        self.check_that_none_sleeps_wrongly()

    def check_that_none_sleeps_wrongly(self):
        """What stands in the roster is so, and who has something to be done is in it."""
        runs, roster = self.scheduler._runs, self.scheduler._roster
        roster.settle()
        due = {id: one[:2] for id, one in (roster._moving | roster._resting).items()}
        assert set(roster.working) == {id for id, run in runs.items() if run.works}
        assert set(roster.asked) == {id for id, run in runs.items() if run.asked}
        assert set(roster.in_line) == {id for id, run in runs.items() if run.is_in_line}
        assert set(roster.long) == {id for id, run in runs.items() if run.arms.step_time.too_long}
        assert due == {id: view for id, run in runs.items() if (view := run.next_view(roster._crowd)) is not None}
        assert not any(run.pending for id, run in runs.items() if not {id} & {*roster.unheard, *roster.working, *due})

    def last(self, id):
        return next(m for m in reversed(self.said) if isinstance(m, Report) and m.id == id)

    def steps(self, id):
        return next(m for m in reversed(self.said) if isinstance(m, Report) and m.id == id and m.arms).arms[0].step

    def masses(self, id):
        return [
            a.found(Masses)
            for m in self.said
            if isinstance(m, Report) and m.id == id
            for a in m.arms
            if a.found(Masses)
        ]

    def handed_out(self, id):
        """The steps of its weights, in the order in which they were said."""
        return [m.step for m in self.said if isinstance(m, HandedOut) and m.id == id]

    def frames(self, id):
        return [f for m in self.said if isinstance(m, Report) and m.id == id for a in m.arms if (f := a.frame)]


@pytest.fixture
def bench():
    clock = Clock()
    return Bench(Scheduler(clock, cpu=clock, new_job=at_once(FakeJob), memory=lambda: 0), clock)


def with_places(n, clock, **how):
    """A bench with memory for n experiments."""
    scheduler = Scheduler(
        clock, cpu=clock, new_job=at_once(FakeJob), memory_limit=n, memory=lambda: held(scheduler), **how
    )
    return Bench(scheduler, clock)


def held(scheduler):
    return sum(run.phase is not State.QUEUED for run in scheduler._runs.values())


def job_of(bench, id):
    return bench.scheduler._runs[id].arms.jobs[0]


def steps_of(bench, id):
    return [job.step_count for job in bench.scheduler._runs[id].arms.jobs]


def with_train(**settings):
    return Experiment((Arm(FlowConfig(), TrainConfig(**settings), "moons"),), seed=0)


def test_training_time_is_fair_whatever_a_step_costs(bench):
    bench.do(
        Create("cheap", with_train(batch=500)), Create("dear", with_train(batch=2000)), Play("cheap"), Play("dear")
    )
    bench.run(20, {"cheap": PAGE, "dear": PAGE})
    assert bench.steps("cheap") / bench.steps("dear") == pytest.approx(4, rel=0.1)


LONG = 0.1  # seconds, of a piece of work


class Slow(FakeJob):
    """What takes 10 s to build, to step and to be measured if its batch is large, in pieces of `LONG`."""

    @classmethod
    def building(cls, arm, *rest):
        job = cls(arm, *rest)
        yield from job.waited()
        return job

    def waited(self):
        for _ in range(round(10 / LONG) * (self.train.batch == 4_000)):
            self._clock.now += LONG
            yield

    def step(self):
        self._step = getattr(self, "_step", None) or self.waited()
        if next(self._step, "done") != "done":
            return True
        self._step = None
        super().step()
        return False

    def measure_held_out(self, demand):
        yield from self.waited()
        return (yield from super().measure_held_out(demand))


class TestBesideThreeThatAreSlow:
    @pytest.fixture
    def slow(self, monkeypatch):
        clock = Clock()
        monkeypatch.setattr(step_time, "_seconds", lambda flow, train: LONG if train.batch == 4_000 else 0.005)

        def new_job(arm, seed, device, wall):
            return Slow.building(arm, seed, device, clock)

        return Bench(Scheduler(clock, cpu=clock, new_job=new_job, memory=lambda: 0), clock)

    @pytest.mark.thorough
    def test_nobody_waits_for_more_than_a_piece_of_work_or_two(self, slow):
        """Neither while they are built, nor in training, nor while they are measured. When all three have just come,
        each may have a turn."""
        slow.do(Create("small", EXPERIMENT), Play("small"))
        slow.run(1, {"small": PAGE})
        ids = "abc"
        slow.do(*(Create(id, with_train(batch=4_000)) for id in ids), *(Play(id) for id in ids))
        waits, since, step = [], slow.clock.now, slow.steps("small")
        end = slow.clock.now + 300
        while slow.clock.now < end:
            slow.do(*(Poll(id, BLIND) for id in ("small", *ids)))
            slow.said += slow.scheduler.tick()
            if job_of(slow, "small").step_count > step:
                waits.append(slow.clock.now - since)
                since, step = slow.clock.now, job_of(slow, "small").step_count
        assert all(slow.steps(id) >= 2 for id in ids)
        assert max(waits) < 4 * LONG
        assert np.quantile(waits, 0.95) < 1.5 * LONG
        # And they all had their share: a quarter of 300 s.
        assert step * 0.005 == pytest.approx(300 / 4, rel=0.15)

    def test_a_measurement_that_takes_longer_than_pictures_may_is_done_in_the_turns_of_its_run(self, slow):
        """10 s of it after each step of 10 s, of which half go to another run."""
        slow.do(Create("small", EXPERIMENT), Play("small"), Create("a", with_train(batch=4_000)), Play("a"))
        slow.run(200, {"small": BLIND, "a": BLIND})
        measured = [
            arm.step for m in slow.said if isinstance(m, Report) and m.id == "a" for arm in m.arms if arm.blocks
        ]
        assert len(measured) >= 2 and slow.steps("a") >= 3


def test_pictures_are_at_the_expense_of_who_looks_at_them(bench):
    bench.do(Create("seen", EXPERIMENT), Create("blind", EXPERIMENT), Play("seen"), Play("blind"))
    bench.run(20, {"seen": PAGE, "blind": BLIND})
    # Half of 20 s each: all that "blind" has goes into steps of 5 ms, but for a look at its losses once a second.
    assert bench.steps("blind") * 0.005 == pytest.approx(20 / 2 - 20 * FRAME_COST, rel=0.1)
    drawn = len(bench.frames("seen")) * FRAME_COST
    assert drawn > 1.5
    assert bench.steps("seen") * 0.005 + drawn < 20 / 2


def test_who_wakes_late_has_no_arrears(bench):
    bench.do(Create("a", EXPERIMENT), Create("b", EXPERIMENT), Play("a"))
    bench.run(8, {"a": BLIND, "b": BLIND})
    before = bench.steps("a")
    bench.do(Play("b"))
    bench.run(8, {"a": BLIND, "b": BLIND})
    assert bench.steps("b") == pytest.approx(bench.steps("a") - before, rel=0.1)


def test_arms_are_at_the_same_step_in_every_report(bench):
    bench.do(Create("a", PAIR), Play("a"))
    bench.run(3, {"a": PAGE})
    reports = [m for m in bench.said if isinstance(m, Report) and m.arms]
    assert reports[-1].arms[0].step > 100
    assert all(m.arms[0].step == m.arms[1].step for m in reports)
    assert all(m.arms[0].frame.step == m.arms[1].frame.step for m in reports if m.arms[0].frame)


def test_nobody_waits_for_all_arms_of_another_page(bench):
    """Twenty of them take 0.8 s a round, to be built and to be measured; a piece of work is that of one arm."""
    arm = replace(EXPERIMENT.arms[0], train=TrainConfig(batch=4_000))
    bench.do(Create("few", EXPERIMENT), Play("few"))
    bench.run(1, {"few": BLIND})
    bench.do(Create("many", Experiment((arm,) * 20, seed=0)), Play("many"))
    longest, before = 0.0, bench.clock.now
    while bench.clock.now < before + 20:
        bench.do(Poll("few", BLIND), Poll("many", BLIND))
        start = bench.clock.now
        bench.said += bench.scheduler.tick()
        longest = max(longest, bench.clock.now - start)
    assert longest < 0.09
    reports = [m for m in bench.said if isinstance(m, Report) and m.id == "many" and m.arms]
    assert reports[-1].arms[0].step >= 5
    assert all(len({arm.step for arm in m.arms}) == 1 for m in reports)
    assert sum(bool(m.arms[0].blocks) for m in reports) >= 3


def test_a_round_of_all_arms_is_finished_whoever_pauses_or_leaves(bench):
    arm = replace(EXPERIMENT.arms[0], train=TrainConfig(batch=4_000))
    for command in (Pause("a"), Leave("a"), Change("a", 1, TrainConfig(batch=3_000))):
        bench.do(Create("a", Experiment((arm,) * 4, seed=0)), Step("a", 3), Poll("a", BLIND))
        while not bench.scheduler._runs["a"].arms.jobs or len(set(steps_of(bench, "a"))) == 1:
            bench.said += bench.scheduler.tick()
        done = steps_of(bench, "a")[0]
        bench.do(command)
        bench.run(3)
        assert set(steps_of(bench, "a")) == {3 if isinstance(command, Change) else done}
        assert bench.last("a").arms[3].step == bench.last("a").arms[0].step == steps_of(bench, "a")[0]
        bench.do(Poll("a", BLIND), Step("a", 2))
        bench.run(3)
        assert set(steps_of(bench, "a")) == {{Pause: done, Leave: 3, Change: 3}[type(command)] + 2}
        bench.do(Close("a"))


def test_step_takes_exactly_that_many_even_out_of_play(bench):
    bench.do(Create("a", EXPERIMENT), Step("a", 100), Step("a", 7))
    bench.run(5, {"a": PAGE})
    assert (bench.steps("a"), bench.last("a").state) == (107, State.PAUSED)
    bench.do(Play("a"))
    bench.run(1)
    bench.do(Pause("a"))
    bench.run(0.1)
    before = bench.steps("a")
    bench.do(Step("a", 3))
    bench.run(1)
    assert bench.steps("a") == before + 3


def test_pause_takes_effect_at_once(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(1)
    bench.do(Pause("a"))
    bench.said += bench.scheduler.tick()
    stopped = bench.last("a")
    bench.run(1)
    assert stopped.state is State.PAUSED
    assert bench.steps("a") == stopped.arms[0].step


@pytest.mark.parametrize("pages", [1, 4, 16])
def test_looks_take_at_most_their_share_of_the_time_and_all_pages_that_need_frames_get_some(bench, pages):
    ids = [str(i) for i in range(pages)]
    bench.do(*(Create(id, EXPERIMENT) for id in ids), *(Play(id) for id in ids))
    bench.run(20, dict.fromkeys(ids, PAGE))
    trained = sum(job_of(bench, id).step_count for id in ids) * 500 / 100_000
    assert bench.clock.now - trained <= SHARE * bench.clock.now + BURST_SECONDS + 2 * FRAME_COST
    assert bench.last("0").frame_share <= SHARE + 0.03
    counts = [len(bench.frames(id)) for id in ids]
    assert max(counts) - min(counts) <= 2
    assert 5 <= min(counts) <= 8 * 20 + 1


@pytest.mark.thorough
def test_a_crowd_that_opens_its_pages_does_not_stop_the_pictures_of_those_that_play(bench):
    players, others = [f"p{i}" for i in range(4)], [str(i) for i in range(30)]
    bench.do(*(Create(id, EXPERIMENT) for id in players), *(Play(id) for id in players))
    bench.run(5, dict.fromkeys(players, PAGE))
    before = {id: len(bench.frames(id)) for id in players}
    bench.do(*(Create(id, EXPERIMENT) for id in others))
    pages = dict.fromkeys([*players, *others], PAGE)
    bench.run(20, pages)
    # The others' first frames and losses take 1.2 s, and their masses 3.6 s. Players have half of the time of looks.
    assert min(len(bench.frames(id)) - before[id] for id in players) >= 5
    assert all(bench.frames(id) for id in others)
    bench.run(60, pages)
    assert all(bench.masses(id) for id in others)
    assert not any(bench.last(id).awaits for id in others)


def test_a_page_that_waits_for_what_it_wants_does_not_rest():
    still = Report("a", State.PAUSED)
    waits = replace(still, awaits=True)
    assert adds_nothing(still, still) and not adds_nothing(waits, waits)


def test_masses_are_weighed_every_five_seconds_between_frames_that_keep_coming(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(31, {"a": PAGE})
    rough = [m for m in bench.masses("a") if m.exact == "rough"]
    assert 5 <= len(rough) <= 7
    assert len(bench.frames("a")) >= 5 * 31
    times = [f.step * 0.005 for f in bench.frames("a")]
    assert np.diff(times).max() < 0.5
    bench.do(Pause("a"))
    bench.run(2, {"a": PAGE})
    assert bench.masses("a")[-1] == Masses(bench.steps("a"), Exact(), "fine", None)
    assert not bench.scheduler.is_busy()


def test_another_estimator_is_weighed_at_once(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    (arm,) = EXPERIMENT.arms
    for change, at_once in (({"learning_rate": 0.02}, False), ({"log_det": Truncated()}, True)):
        bench.run(11 - bench.clock.now % 5, {"a": PAGE})  # while it is weighed, every five seconds
        changed = job_of(bench, "a").step_count
        bench.do(Change("a", 0, replace(arm.train, **change)))
        bench.run(3.9, {"a": PAGE})
        assert (bench.masses("a")[-1].step >= changed) == at_once


def test_what_waits_for_a_picture_in_pieces_waits_for_one_piece_at_most(bench):
    bench.do(Create("still", EXPERIMENT), Create("moving", EXPERIMENT), Play("moving"))
    bench.run(1, {"moving": BLIND})
    start = job_of(bench, "moving").step_count
    bench.do(Poll("still", PAGE))
    while not bench.masses("still"):
        before = bench.clock.now
        bench.said += bench.scheduler.tick()
        assert bench.clock.now - before < 0.035
    assert job_of(bench, "moving").step_count > start


def test_another_depth_draws_one_frame_and_nothing_else(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(1, {"a": PAGE})
    seen = len(bench.said)
    bench.run(1, {"a": replace(PAGE, depth=3)})
    arms = [a for m in bench.said[seen:] if isinstance(m, Report) for a in m.arms]
    assert len(bench.frames("a")) == 2
    assert all((a.found(Masses), a.blocks) == (None, None) for a in arms)


def test_another_inversion_is_found_in_pieces_and_nothing_else_is_drawn(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(1, {"a": PAGE})
    seen, demand = len(bench.said), wanting(PAGE, {"inversion": InversionRequest(2, (0.5, 1.0))})
    bench.run(1, {"a": demand})
    arms = [a for m in bench.said[seen:] if isinstance(m, Report) for a in m.arms]
    (found,) = [a.found(Inversions) for a in arms if a.found(Inversions)]
    assert found == Inversions(0, demand.measured["inversion"], None, None)
    assert all((a.frame, a.found(Masses), a.blocks, a.found(Jacobians)) == (None, None, None, None) for a in arms)
    seen, other = len(bench.said), wanting(demand, {"inversion": InversionRequest(2, (0.5, 1.1))})
    bench.run(1, {"a": other})
    bench.run(1, {"a": other})
    arms = [a for m in bench.said[seen:] if isinstance(m, Report) for a in m.arms]
    assert [a.found(Inversions).request for a in arms if a.found(Inversions)] == [other.measured["inversion"]]
    assert all((a.frame, a.found(Masses), a.blocks, a.found(Jacobians)) == (None, None, None, None) for a in arms)
    assert not bench.scheduler.is_busy()


def test_a_scaled_branch_draws_and_measures_all_anew(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(1, {"a": PAGE})
    seen = len(bench.said)
    for _ in range(2):
        bench.run(1, {"a": replace(PAGE, edited=Edited(1, 1.5))})
    arms = [a for m in bench.said[seen:] if isinstance(m, Report) for a in m.arms]
    for count in (
        sum(a.frame is not None for a in arms),
        sum(a.found(Masses) is not None for a in arms),
        sum(a.blocks is not None for a in arms),
    ):
        assert count == 1


def test_in_a_crowd_measurements_are_rarer_and_pictures_are_not(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(1, {"a": PAGE})
    views = bench.scheduler._runs["a"]._views
    alone, crowded = (dict(views._wanted(10**6, True, crowd)) for crowd in (1.0, 8.0))
    assert alone.keys() == crowded.keys() and len(alone) >= 3
    assert {view.name: crowded[view] / wait for view, wait in alone.items()} == {
        view.name: 1.0 if view.name == "frame" else 8.0 for view in alone
    }


def test_an_inversion_comes_while_the_flow_moves_and_frames_keep_coming(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(20, {"a": wanting(PAGE, {"inversion": InversionRequest(0)})})
    steps = [
        a.found(Inversions).step for m in bench.said if isinstance(m, Report) for a in m.arms if a.found(Inversions)
    ]
    # 20 pieces, at most twenty a second, within what looks may take.
    assert 3 <= len(steps) <= 10
    assert len(bench.frames("a")) >= 3 * 20
    assert np.diff([f.step * 0.005 for f in bench.frames("a")]).max() < 0.5


def activities(bench):
    return [a.found(Activity) for m in bench.said if isinstance(m, Report) for a in m.arms if a.found(Activity)]


def test_activity_of_a_flow_that_stands_still_comes_once_and_again_where_something_else_is_wanted(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(2, {"a": BLIND})
    assert activities(bench) == []
    for wanted in ("gradients", "gradients", "all", "all", ""):
        bench.run(1, {"a": wanting(BLIND, {"activity": wanted})})
    # What a fake job was asked for stands where saturation does.
    assert [(found.step, found.saturation) for found in activities(bench)] == [(0, "gradients"), (0, "all")]
    assert not bench.scheduler.is_busy()


def test_activity_comes_every_few_seconds_while_the_flow_moves_and_frames_keep_coming(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(20, {"a": ACTIVE})
    steps = [found.step for found in activities(bench)]
    assert 4 <= len(steps) <= 20 / MEASUREMENTS["activity"].every_seconds + 1 and steps == sorted(set(steps))
    assert len(bench.frames("a")) >= 3 * 20
    bench.do(Pause("a"))
    bench.run(3, {"a": ACTIVE})
    assert activities(bench)[-1].step == bench.frames("a")[-1].step


def parts_of(bench, id, seen=0):
    """What was said of each arm since: (frames, derivatives, masses, blocks), each a list of steps (of the blocks one
    of what a fake job gives for them)."""
    reports = [m for m in bench.said[seen:] if isinstance(m, Report) and m.id == id and m.arms]
    return [
        (
            [a.frame.step for a in arms if a.frame],
            *([found.step for a in arms if (found := a.found(kind))] for kind in (Derivatives, Masses)),
            [a.blocks for a in arms if a.blocks],
        )
        for arms in zip(*(m.arms for m in reports), strict=True)
    ]


PICTURED = ViewRequest(pictured=(1,), measured={"masses": True, "derivatives": True})


def test_only_pictured_arms_are_drawn_and_their_derivatives_taken_and_all_are_measured(bench):
    bench.do(Create("a", PAIR))
    bench.run(2, {"a": PICTURED})
    assert parts_of(bench, "a") == [([], [], [0], ["blocks"]), ([0], [0], [0], ["blocks"])]
    assert not bench.scheduler.is_busy()


def test_other_arms_are_drawn_at_once_and_nothing_is_measured_again(bench):
    bench.do(Create("a", PAIR))
    bench.run(2, {"a": PICTURED})
    seen = len(bench.said)
    for _ in range(2):
        bench.run(1, {"a": replace(PICTURED, pictured=(0,))})
    assert parts_of(bench, "a", seen) == [([0], [0], [], []), ([], [], [], [])]
    seen = len(bench.said)
    for _ in range(2):
        bench.run(1, {"a": replace(PICTURED, pictured=None)})
    assert parts_of(bench, "a", seen) == [([0], [0], [], [])] * 2
    assert not bench.scheduler.is_busy()


@pytest.mark.parametrize("pictured", [(), (2, 7)])
def test_where_no_arm_is_pictured_all_the_rest_goes_on(bench, pictured):
    demand = replace(PICTURED, pictured=pictured)
    bench.do(Create("a", PAIR), Play("a"))
    bench.run(3, {"a": demand})
    bench.do(Pause("a"))
    bench.run(3, {"a": demand})
    assert bench.last("a").state is State.PAUSED
    for frames, derivatives, masses, blocks in parts_of(bench, "a"):
        assert (frames, derivatives) == ([], []) and masses and blocks
    assert not bench.scheduler.is_busy()


def test_pictured_arms_that_move_share_their_part_of_the_time_and_derivatives_come_every_few_seconds(bench):
    bench.do(Create("a", Experiment(EXPERIMENT.arms * 3, seed=0)), Play("a"))
    demand = replace(PICTURED, pictured=(0, 2), frame_seconds=2.0)
    bench.run(40, {"a": demand})
    trained = 3 * job_of(bench, "a").step_count * 500 / 100_000
    most = 3 * FRAME_COST + BURST_SECONDS  # the held-out losses of all three are one piece of work
    assert bench.clock.now - trained <= SHARE * bench.clock.now + most
    for k, (frames, derivatives, masses, _) in enumerate(parts_of(bench, "a")):
        assert len(masses) >= 3
        if k in (0, 2):
            assert (
                40 / MEASUREMENTS["derivatives"].every_seconds / 2
                <= len(derivatives)
                <= 40 / MEASUREMENTS["derivatives"].every_seconds + 1
            )
            assert 10 <= len(frames) <= 21
            assert derivatives == sorted(set(derivatives))
        else:
            assert frames == derivatives == []


def test_derivatives_that_nobody_wants_cost_nothing(bench, monkeypatch):
    (view,) = (view for view in views.MEASURED if view.name == "derivatives")
    monkeypatch.setitem(views.MEASURED, view, replace(views.MEASURED[view], pieces=lambda *_: 1 / 0))
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(5, {"a": PAGE})
    bench.do(Pause("a"))
    bench.run(5, {"a": PAGE})
    assert bench.last("a").state is State.PAUSED and not bench.scheduler.is_busy()


def test_samples_that_are_wanted_from_now_on_are_drawn_at_once(bench):
    bench.do(Create("a", PAIR))
    without = ViewRequest(samples=False, ways=False, pictured=(0,), measured={"masses": True})
    bench.run(2, {"a": without})
    seen = len(bench.said)
    for _ in range(2):
        bench.run(1, {"a": replace(without, samples=True)})
    assert parts_of(bench, "a", seen) == [([0], [], [], []), ([], [], [], [])]


def test_nobody_who_wants_no_masses_gets_them(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(12, {"a": ViewRequest()})
    bench.do(Pause("a"))
    bench.run(2, {"a": ViewRequest()})
    assert bench.masses("a") == []
    assert not bench.scheduler.is_busy()
    bench.run(2, {"a": PAGE})
    assert len(bench.masses("a")) == 1


def test_no_demand_no_frames_but_losses(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(4, {"a": BLIND})
    assert (bench.frames("a"), bench.masses("a")) == ([], [])
    assert any(a.loss for m in bench.said if isinstance(m, Report) for a in m.arms)


class TestWeights:
    """What browsers draw from by themselves."""

    def test_they_come_eight_times_a_second_as_turns_end_and_nothing_is_drawn(self, bench):
        bench.do(Create("a", EXPERIMENT), Play("a"))
        bench.run(4, {"a": DRAWS})
        steps = bench.handed_out("a")
        assert 4 * 7 <= len(steps) <= 4 * 8 + 2
        assert steps == sorted(set(steps)) and bench.frames("a") == []
        assert any(a.blocks for m in bench.said if isinstance(m, Report) for a in m.arms), "losses come as ever"

    def test_they_come_whatever_the_budget_of_looks_is(self, bench, monkeypatch):
        monkeypatch.setattr(LookBudget, "is_open", False)
        bench.do(Create("a", EXPERIMENT), Create("b", EXPERIMENT), Play("a"), Play("b"))
        bench.run(4, {"a": DRAWS, "b": PAGE})
        assert len(bench.handed_out("a")) >= 4 * 7
        assert not any(frame.step for frame in bench.frames("b"))

    def test_they_are_at_the_expense_of_their_run(self, bench, monkeypatch):
        monkeypatch.setattr(sys.modules[__name__], "WEIGHTS_COST", 0.02)
        bench.do(Create("a", EXPERIMENT), Create("b", EXPERIMENT), Play("a"), Play("b"))
        bench.run(10, {"a": DRAWS, "b": BLIND})
        ours, others = bench.steps("a") * 0.005, bench.steps("b") * 0.005
        assert others - ours == pytest.approx(len(bench.handed_out("a")) * WEIGHTS_COST, rel=0.2)

    @pytest.mark.thorough
    @pytest.mark.parametrize(("runs", "least"), [(30, 7.5), (100, 2.0)])
    def test_a_crowd_has_them_often_and_loses_few_steps(self, monkeypatch, runs, least):
        monkeypatch.setattr(crowding, "USEFUL_SHARE", 1e-9)
        steps = {}
        for demand in (BLIND, DRAWS):
            clock = Clock()
            bench = Bench(Scheduler(clock, cpu=clock, new_job=at_once(FakeJob), memory=lambda: 0), clock)
            ids = [str(i) for i in range(runs)]
            bench.do(*(Create(id, QUICK) for id in ids), *(Play(id) for id in ids))
            bench.run(8, dict.fromkeys(ids, demand))
            steps[demand.weights] = sum(map(bench.steps, ids))
        came = Counter(m.id for m in bench.said if isinstance(m, HandedOut))
        assert min(came[id] for id in ids) >= 8 * least - 2
        assert steps[True] >= 0.94 * steps[False]

    def test_a_flow_that_stands_still_hands_them_out_once(self, bench):
        bench.do(Create("a", EXPERIMENT))
        bench.run(5, {"a": DRAWS})
        assert bench.handed_out("a") == [0] and not bench.scheduler.is_busy()
        bench.do(Step("a", 3))
        bench.run(2, {"a": DRAWS})
        assert bench.handed_out("a") == [0, 3]

    def test_a_pause_has_those_of_its_last_step(self, bench):
        bench.do(Create("a", EXPERIMENT), Play("a"))
        bench.run(1.03, {"a": DRAWS})
        bench.do(Pause("a"))
        bench.run(0.01)
        assert bench.handed_out("a")[-1] == bench.steps("a")

    def test_an_edit_has_its_own_at_once_also_where_many_train(self, bench):
        ids = [str(i) for i in range(20)]
        slow = with_train(batch=4_000)  # 40 ms a step: a turn comes every 0.8 s
        bench.do(*(Create(id, slow) for id in ids), *(Play(id) for id in ids))
        bench.run(4, dict.fromkeys(ids, DRAWS))
        for id in ids:
            bench.do(Poll(id, replace(DRAWS, edited=Edited(1, 1.5))))
            said = bench.scheduler.tick()
            (one,) = [m for m in said if isinstance(m, HandedOut) and m.id == id]
            assert decode(one.arms[0])[0]["flow"] == {"edited": 1.5}

    def test_an_edit_of_a_flow_at_rest_has_its_own_once(self, bench):
        bench.do(Create("a", EXPERIMENT))
        bench.run(1, {"a": DRAWS})
        bench.run(1, {"a": replace(DRAWS, edited=Edited(1, 1.5))})
        assert bench.handed_out("a") == [0, 0] and not bench.scheduler.is_busy()

    def test_who_joins_has_them_at_once_also_at_rest(self, bench):
        bench.do(Create("a", EXPERIMENT), Step("a", 7))
        bench.run(1, {"a": BLIND})
        assert bench.handed_out("a") == []
        bench.do(Look("a", Wish(pictures=False, weights=True)))
        assert bench.scheduler.is_busy()
        bench.run(0.01)
        assert bench.handed_out("a") == [7] and not bench.scheduler.is_busy()

    def test_while_nobody_sees_them_none_are_made(self, bench):
        bench.do(Create("a", EXPERIMENT), Play("a"))
        bench.run(1, {"a": DRAWS})
        bench.do(Look("a", Wish(pictures=False, weights=False)))
        seen = len(bench.handed_out("a"))
        bench.run(3, {"a": replace(DRAWS, weights=False)})
        assert len(bench.handed_out("a")) == seen and bench.frames("a") == []
        bench.do(Look("a", Wish(pictures=False, weights=True)))
        bench.said += bench.scheduler.tick()
        assert len(bench.handed_out("a")) == seen + 1

    def test_a_page_that_is_gone_has_none(self, bench):
        bench.do(Create("a", EXPERIMENT))
        bench.run(1, {"a": DRAWS})
        bench.do(Step("a", 5), Leave("a"))
        bench.run(1)
        assert bench.handed_out("a") == [0]
        bench.run(1, {"a": DRAWS})
        assert bench.handed_out("a") == [0, 0, 5]  # another page may have come

    def test_pictures_and_weights_are_both_made_where_pages_differ(self, bench):
        bench.do(Create("a", EXPERIMENT), Play("a"))
        bench.run(3, {"a": replace(PAGE, weights=True)})
        assert len(bench.handed_out("a")) >= 3 * 7 and len(bench.frames("a")) >= 10

    def test_what_has_no_weights_is_drawn_in_their_place(self, bench, monkeypatch):
        monkeypatch.setattr(FakeJob, "has_weights", False)
        bench.do(Create("a", EXPERIMENT), Play("a"))
        bench.run(3, {"a": DRAWS})
        assert bench.handed_out("a") == [] and len(bench.frames("a")) >= 10
        assert not bench.last("a").has_weights

    @pytest.mark.parametrize("end", ["reset", "divergence"])
    def test_those_of_a_run_that_begins_anew_follow_the_report_that_says_so(self, bench, end):
        wrong = with_train(learning_rate=0.1) if end == "divergence" else EXPERIMENT
        bench.do(Create("a", wrong), Play("a"))
        while job_of(bench, "a").step_count < 40 if bench.scheduler._runs["a"].arms.jobs else True:
            bench.do(Poll("a", DRAWS))
            bench.said += bench.scheduler.tick()
        if end == "reset":
            bench.do(Reset("a"))
        bench.run(1, {"a": DRAWS})
        steps = [m.step if isinstance(m, HandedOut) else m.arms[0].step for m in bench.said if _has_step(m)]
        back = next(k for k, (a, b) in enumerate(itertools.pairwise(steps), 1) if b < a)
        kinds = [type(m) for m in bench.said if _has_step(m)]
        assert kinds[back] is Report and HandedOut in kinds[back:]

    def test_many_who_want_them_at_once_do_not_hold_up_those_that_train(self, bench):
        ids = [str(i) for i in range(300)]
        bench.do(*(Create(id, EXPERIMENT) for id in (*ids, "a")))
        bench.run(30, dict.fromkeys((*ids, "a"), BLIND))
        bench.do(Play("a"), *(Poll(id, DRAWS) for id in ids))
        longest = 0.0
        for _ in range(10):
            began = bench.clock.now
            bench.said += bench.scheduler.tick()
            longest = max(longest, bench.clock.now - began)
        assert all(bench.handed_out(id) == [0] for id in ids)
        assert longest < 3 * SLICE_SECONDS


def _has_step(message):
    return isinstance(message, HandedOut) or (isinstance(message, Report) and bool(message.arms))


def test_a_flow_that_stands_still_is_drawn_once_and_then_there_is_nothing_to_do(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(5, {"a": PAGE})
    assert [f.step for f in bench.frames("a")] == [0]
    assert not bench.scheduler.is_busy()


def test_pages_that_rest_cost_those_that_play_nothing(bench, monkeypatch):
    """Of 20 open pages two play: the others are not even asked whether there is anything to do for them."""
    pages = {str(i): PAGE for i in range(20)}
    bench.do(*(Create(id, EXPERIMENT) for id in pages))
    bench.run(8, pages)
    playing = ["0", "10"]
    bench.do(*map(Play, playing))
    bench.run(1, pages)
    asked = Counter()
    news = Run.news
    monkeypatch.setattr(Run, "news", lambda run, *args: asked.update([run.id]) or news(run, *args))
    bench.run(3)
    assert asked.keys() == set(playing)
    bench.do(Step("5", 3))
    bench.run(3, pages)
    assert bench.steps("5") == 3


@pytest.mark.parametrize("leave", [True, False])
def test_a_page_that_is_gone_pauses_its_run_until_the_next_poll(bench, leave):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(2, {"a": PAGE})
    if leave:
        bench.do(Leave("a"))
    bench.run(12)
    gone = bench.steps("a")
    assert gone <= (2.1 if leave else 12.1) / 0.005
    bench.run(50)
    assert bench.steps("a") == gone
    bench.run(1, {"a": PAGE})
    assert bench.steps("a") > gone
    assert bench.last("a").state is State.PLAYING


def test_a_run_without_a_page_is_dropped_after_ten_minutes(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(1)
    bench.clock.now = 589.0
    bench.run(1)
    assert bench.last("a").state is not State.EXPIRED
    bench.clock.now = 609.0
    bench.run(1)
    assert bench.last("a").state is State.EXPIRED
    assert "ten minutes" in bench.last("a").message
    assert bench.scheduler.is_empty()


def test_nobody_is_missed_while_the_clock_of_attendance_stands_still():
    """As while the server is late: it is not heard of pages for 20 minutes, and 30 others wait for a place."""
    clock, attendance = Clock(), Clock()
    bench = with_places(2, clock, attendance=attendance)
    bench.do(Create("a", EXPERIMENT), Create("b", EXPERIMENT), Play("a"), Poll("a", BLIND), Poll("b", BLIND))
    bench.run(1)
    bench.do(*(Create(f"late{i}", EXPERIMENT) for i in range(30)))
    for _ in range(12):
        bench.clock.now += 100
        attendance.now += 0.5
        bench.run(0.1)
    states = {m.id: m.state for m in bench.said if isinstance(m, Report)}
    assert State.EXPIRED not in states.values()
    assert (states["a"], states["late0"]) == (State.PLAYING, State.QUEUED)
    before = bench.steps("a")
    bench.run(1)
    assert bench.steps("a") > before


def test_a_dropped_run_says_why(bench):
    clock = Clock()
    bench = with_places(1, clock)
    bench.do(Create("a", EXPERIMENT))
    bench.run(15)  # nobody looks at it
    bench.do(Create("b", EXPERIMENT))
    bench.run(0.1, {"b": BLIND})
    dropped = bench.last("a")
    assert dropped.state is State.EXPIRED and "15 s" in dropped.message and "ten minutes" not in dropped.message


def test_of_runs_whose_pages_are_gone_the_newest_are_remembered():
    """Each keeps its checkpoint, so that a school day would fill the memory."""
    bench = with_places(1_000, Clock())
    ids = [f"gone{k}" for k in range(scheduler.MOST_ASIDE + 3)]
    for id in ids:
        bench.do(Create(id, EXPERIMENT), Poll(id, BLIND))
        bench.run(0.2, {id: BLIND})
    bench.run(60)
    left = [id for id in ids if id in bench.scheduler._runs]
    assert left == ids[3:]
    for id in ids[:3]:
        assert bench.last(id).state is State.EXPIRED and str(scheduler.MOST_ASIDE) in bench.last(id).message


def test_queue_tells_the_place_and_moves_up():
    clock = Clock()
    bench = with_places(1, clock)
    bench.do(*(Create(id, EXPERIMENT) for id in "abc"), Step("c", 3))
    bench.run(0.1)
    assert [bench.last(id).queue_place for id in "abc"] == [0, 1, 2]
    assert "2" in named(bench.last("c").message)
    bench.do(Close("a"))
    bench.run(0.1)
    assert [bench.last(id).queue_place for id in "bc"] == [0, 1]
    bench.do(Leave("b"), Close("b"))
    bench.run(0.1)
    assert (bench.last("c").state, bench.steps("c"), bench.last("c").message) == (State.PAUSED, 3, "")


def test_what_would_make_room_is_said_to_who_runs_the_server_and_seldom(caplog, monkeypatch):
    monkeypatch.setattr(scheduler, "ADVICE_SECONDS", 4.0)
    clock = Clock()
    bench = with_places(1, clock)
    bench.do(*(Create(id, EXPERIMENT) for id in "abc"))
    bench.run(2, {id: BLIND for id in "abc"})
    assert "WORKERS" not in bench.last("c").message
    (advice,) = [record.getMessage() for record in caplog.records if "WORKERS" in record.getMessage()]
    assert "GiB" in named(advice)
    bench.run(3, {id: BLIND for id in "abc"})
    assert sum("WORKERS" in record.getMessage() for record in caplog.records) == 2


def test_who_is_gone_longest_makes_way_for_who_waits():
    clock = Clock()
    bench = with_places(2, clock)
    bench.do(Create("a", EXPERIMENT), Create("b", EXPERIMENT))
    bench.run(0.1)
    bench.do(Leave("a"))
    bench.run(5, {"b": BLIND})
    assert bench.last("a").state is State.PAUSED  # nobody waits, so it keeps its place
    bench.do(Leave("b"), Create("c", EXPERIMENT))
    bench.run(0.1, {"c": BLIND})
    assert [bench.last(id).state for id in "abc"] == [State.EXPIRED, State.PAUSED, State.PAUSED]


def test_of_more_than_have_a_useful_pace_the_rest_waits_until_others_pause(bench, monkeypatch):
    monkeypatch.setattr(crowding, "USEFUL_SHARE", 0.095)
    ids = [str(i) for i in range(10 + 3)]
    bench.do(*(Create(id, EXPERIMENT) for id in ids), *(Play(id) for id in ids))
    bench.run(9, dict.fromkeys(ids, BLIND))
    waiting = [id for id in ids if bench.last(id).queue_place]
    assert waiting == ids[-len(waiting) :] and 3 <= len(waiting) <= 6  # who came last
    assert [bench.last(id).queue_place for id in waiting] == [*range(1, len(waiting) + 1)]
    assert all(bench.last(id).state is State.PLAYING and bench.last(id).message for id in waiting)
    before = {id: bench.steps(id) for id in ids}
    bench.run(5, dict.fromkeys(ids, BLIND))
    assert {id for id in ids if bench.steps(id) == before[id]} == set(waiting)

    bench.do(*(Pause(id) for id in ids[: len(waiting) + 2]))
    bench.run(9, dict.fromkeys(ids, BLIND))
    assert all(bench.steps(id) > before[id] and not bench.last(id).queue_place for id in waiting)
    assert {bench.last(id).message for id in waiting} == {""}


def test_who_waits_for_a_useful_pace_may_pause_and_look(bench, monkeypatch):
    monkeypatch.setattr(crowding, "USEFUL_SHARE", 0.5)
    bench.do(*(Create(id, EXPERIMENT) for id in "abc"), *(Play(id) for id in "abc"))
    bench.run(9, dict.fromkeys("abc", PAGE))
    assert [bench.last(id).queue_place for id in "abc"] == [0, 1, 2]
    bench.do(Pause("b"), Step("b", 0))
    bench.run(1, dict.fromkeys("abc", PAGE))
    assert [bench.last(id).queue_place for id in "abc"] == [0, 0, 1]
    assert (bench.last("b").state, bench.last("b").message) == (State.PAUSED, "")
    assert bench.frames("b")[-1].step == bench.steps("b")


def test_who_only_looks_takes_no_time_from_those_who_come(bench):
    ids = [str(i) for i in range(40)]
    bench.do(*(Create(id, EXPERIMENT) for id in ids))
    bench.run(5, dict.fromkeys(ids, BLIND))
    assert {bench.last(id).state for id in ids} == {State.PAUSED}


def test_full_memory_queues_all_but_the_first():
    clock = Clock()
    bench = Bench(Scheduler(clock, cpu=clock, new_job=at_once(FakeJob), memory=lambda: 5 * 2**30), clock)
    bench.do(Create("a", EXPERIMENT), Create("b", EXPERIMENT))
    bench.run(0.1)
    assert [bench.last(id).state for id in "ab"] == [State.PAUSED, State.QUEUED]


def test_divergence_goes_back_to_the_last_good_state_and_says_what_to_change(bench):
    bench.do(Create("a", Experiment((*EXPERIMENT.arms, *with_train(learning_rate=0.1).arms), 0)), Step("a", 20))
    bench.run(1)
    bench.do(Play("a"))
    bench.run(2)
    report = bench.last("a")
    assert (report.state, [arm.step for arm in report.arms]) == (State.DIVERGED, [20, 20])
    assert {"2", "rate", "20"} <= named(report.message)
    bench.do(Change("a", 1, TrainConfig(learning_rate=0.01)), Play("a"))
    bench.run(2)
    assert bench.steps("a") > 60
    assert (bench.last("a").state, bench.last("a").message) == (State.PLAYING, "")


def test_reset_is_back_at_step_zero_and_paused(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(1)
    bench.do(Reset("a"))
    bench.run(1)
    assert (bench.steps("a"), bench.last("a").state) == (0, State.PAUSED)


def test_checkpoints_come_every_five_seconds_and_at_every_stop(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(9)
    bench.do(Pause("a"))
    bench.run(1)
    saved = [m.step for m in bench.said if isinstance(m, Checkpoint) and not m.is_passing]
    assert len(saved) == 3
    assert (saved[0], saved[-1]) == (0, bench.steps("a"))


@pytest.mark.parametrize(
    ("cost", "seconds"), [(0.0, PASSING_SECONDS), (0.01, 1.0), (0.04, 4.0), (0.2, CHECKPOINT_SECONDS)]
)
def test_between_them_a_run_is_saved_in_passing_as_often_as_that_is_cheap(bench, monkeypatch, cost, seconds):
    def save(job):
        job._clock.now += cost
        return pickle.dumps(job.step_count)

    monkeypatch.setattr(FakeJob, "save", save)
    bench.do(Create("a", EXPERIMENT), Play("a"))
    for _ in range(4):
        bench.run(8)
        bench.do(Attend("a"))
    saved = [m for m in bench.said if isinstance(m, Checkpoint)]
    gaps = np.diff([m.step for m in saved]) * 500 / 100_000
    assert gaps[1:-1].max() <= seconds + 2 * SLICE_SECONDS
    assert sum(m.is_passing for m in saved) * cost <= 32 * PASSING_SHARE + cost
    assert any(m.is_passing for m in saved) == (seconds < CHECKPOINT_SECONDS)


def test_who_pauses_is_not_saved_in_passing(bench):
    bench.do(Create("a", EXPERIMENT), Step("a", 30))
    bench.run(5)
    assert [m.step for m in bench.said if isinstance(m, Checkpoint)][-1] == 30
    before = len(bench.said)
    bench.run(5)
    assert not any(isinstance(m, Checkpoint) for m in bench.said[before:])


def test_a_checkpoint_continues_in_another_scheduler(bench):
    bench.do(Create("a", EXPERIMENT), Step("a", 30))
    bench.run(1)
    saved = next(m for m in reversed(bench.said) if isinstance(m, Checkpoint))
    bench.do(Create("b", EXPERIMENT, saved, steps=5))
    bench.run(1)
    assert bench.steps("b") == 35


def planned(*changes, **settings):
    (arm,) = with_train(**settings).arms
    return Experiment((replace(arm, changes=changes),), seed=0)


def test_planned_changes_take_over_when_their_steps_are_done_also_after_a_restart(bench):
    first, second = TrainConfig(batch=300), TrainConfig(batch=200)
    experiment = planned((10, first), (40, second), batch=500)
    bench.do(Create("a", experiment), Step("a", 10))
    bench.run(1)
    arm = bench.last("a").arms[0]
    assert (arm.train, arm.changes, job_of(bench, "a").train) == (first, ((10, first),), first)
    saved = next(m for m in reversed(bench.said) if isinstance(m, Checkpoint))
    bench.do(Create("b", experiment, saved, steps=29))
    bench.run(1)
    assert bench.last("b").arms[0].train == job_of(bench, "b").train == first
    bench.do(Step("b", 1))
    bench.run(1)
    assert bench.last("b").arms[0].changes == ((10, first), (40, second))
    assert job_of(bench, "b").train == second


def test_a_live_change_is_saved_at_once_and_comes_back_with_the_checkpoint(bench):
    changed = TrainConfig(batch=250)
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(1)
    bench.do(Change("a", 0, changed))
    step = job_of(bench, "a").step_count
    bench.said += bench.scheduler.tick()
    saved = next(m for m in reversed(bench.said) if isinstance(m, Checkpoint))
    assert (saved.step, saved.handled) == (step, 2)
    bench.do(Create("b", EXPERIMENT, saved))
    bench.run(0.2)
    arm = bench.last("b").arms[0]
    assert (arm.step, arm.train, arm.changes) == (step, changed, ((step, changed),))


def test_a_change_and_a_reset_at_once_leave_no_checkpoint_of_a_flow_that_is_gone(bench):
    bench.do(Create("first", EXPERIMENT), Create("second", EXPERIMENT))
    bench.run(0.2)
    # The first is built before the second, of which there is nothing to save meanwhile.
    bench.do(Reset("first"), Change("second", 0, TrainConfig(batch=250)), Reset("second"))
    told = bench.scheduler.tick()
    assert [type(message) for message in told] == [Checkpoint, Report, Report]
    assert {message.id for message in told if isinstance(message, Checkpoint)} == {"first"}


def test_a_change_before_the_flow_is_built_again_is_made_at_its_step(bench):
    changed = TrainConfig(batch=250)
    bench.do(Create("a", EXPERIMENT), Step("a", 30))
    bench.run(1)
    saved = next(m for m in reversed(bench.said) if isinstance(m, Checkpoint))
    bench.do(Create("b", EXPERIMENT, saved), Change("b", 0, changed))
    bench.run(0.2)
    assert bench.last("b").arms[0].changes == ((30, changed),)
    bench.do(Create("c", EXPERIMENT, saved), Change("c", 0, changed), Reset("c"))
    bench.run(0.2)
    arm = bench.last("c").arms[0]
    assert (arm.step, arm.train, arm.changes) == (0, changed, ())


def test_a_divergence_goes_back_to_before_a_planned_change_and_to_after_a_live_one(bench):
    wild, calm = TrainConfig(learning_rate=0.1), TrainConfig(learning_rate=0.02)
    bench.do(Create("a", planned((30, wild), batch=500)), Step("a", 20))
    bench.run(1)
    bench.do(Play("a"))
    bench.run(1)
    report = bench.last("a")
    assert (report.state, report.arms[0].step, report.arms[0].changes) == (State.DIVERGED, 20, ())
    bench.do(Step("a", 15))
    bench.run(1)
    assert bench.last("a").arms[0].train == wild
    bench.do(Change("a", 0, calm), Step("a", 100))
    bench.run(2)
    assert (bench.steps("a"), bench.last("a").arms[0].changes) == (135, ((30, wild), (35, calm)))


def test_a_change_that_memory_does_not_allow_is_refused(bench):
    large = Arm(FlowConfig(blocks=32, width=256, hidden_layers=4), TrainConfig(batch=64), "moons")
    bench.do(Create("a", Experiment((large,), 0)), Change("a", 0, TrainConfig(batch=4096)))
    bench.run(0.2)
    assert {"GiB", "2", "batch"} <= named(bench.last("a").message)
    assert bench.last("a").arms[0].train == large.train


def test_an_export_is_answered_even_where_there_is_nothing_to_export(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(1)
    assert not bench.scheduler.is_busy()
    bench.do(Export("a", 0, ticket=5), Export("a", 1, ticket=6), Export("gone", 0, ticket=7))
    assert bench.scheduler.is_busy()
    assert bench.scheduler.exported() == [Exported(5, b"flow"), Exported(6, None), Exported(7, None)]
    assert bench.scheduler.exported() == []
    assert not bench.scheduler.is_busy()


def test_a_flow_that_cannot_be_written_is_answered_with_none_and_the_others_go_on(bench, monkeypatch):
    bench.do(Create("bad", EXPERIMENT), Create("good", EXPERIMENT), Play("good"))
    bench.run(1)
    monkeypatch.setattr(job_of(bench, "bad"), "export", lambda: 1 / 0, raising=False)
    bench.do(Export("bad", 0, ticket=5), Export("good", 0, ticket=6))
    assert bench.scheduler.exported() == [Exported(5, None), Exported(6, b"flow")]
    bench.run(1)
    assert "ZeroDivisionError" in bench.last("bad").message
    assert bench.last("good").state is State.PLAYING


def test_a_bug_in_one_run_ends_that_run_only(bench):
    bench.do(Create("bad", with_train(learning_rate=0.05)), Create("good", EXPERIMENT), Play("bad"), Play("good"))
    bench.run(1)
    assert bench.last("bad").state is State.FAILED
    assert "TypeError" in bench.last("bad").message and "a bug" not in bench.last("bad").message  # that is in the log
    assert bench.steps("good") > 100


def test_every_command_but_polls_is_counted(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"), Poll("a", PAGE), Pause("a"))
    bench.run(0.1)
    assert bench.last("a").handled == 2


def test_history_keeps_true_points_and_the_newest():
    history = History()
    for step in range(1, 5001):
        history.add_batch(step, float(step))
        history.add_held_out(
            HeldOut(
                step, Estimate(float(step), 0.1), Estimate(step / 2, 0.05), Estimate(step / 4, 0.02), seconds=step / 8
            )
        )
    curves = history.curves()
    assert len(curves.step) <= MOST
    assert len(curves.held_step) <= MOST
    np.testing.assert_array_equal(curves.step, curves.batch_nll)
    assert set(np.diff(curves.step)) == {16}
    assert curves.held_step[-1] == 5000
    np.testing.assert_array_equal(curves.held_step, curves.held_nll)
    np.testing.assert_array_equal(curves.held_nll, 2 * curves.held_kl)
    np.testing.assert_array_equal(curves.held_se, np.float32(0.1))
    np.testing.assert_array_equal(curves.held_kl_se, np.float32(0.05))
    np.testing.assert_array_equal(curves.held_nll, 4 * curves.held_bias)
    np.testing.assert_array_equal(curves.held_bias_se, np.float32(0.02))
    np.testing.assert_array_equal(curves.held_nll, 8 * curves.held_seconds)


class Painter(FakeJob):
    """Its pictures take four pieces."""

    def frame(self, demand):
        step = self.step_count
        for _ in range(3):
            self._clock.now += FRAME_COST
            yield
        picture = yield from super().frame(demand)
        return replace(picture, step=step)


def test_a_picture_in_pieces_lets_others_train_between_them_and_is_of_one_step_of_all_arms():
    clock = Clock()
    bench = Bench(Scheduler(clock, cpu=clock, new_job=at_once(Painter), memory=lambda: 0), clock)
    bench.do(Create("pair", PAIR), Create("other", EXPERIMENT), Play("pair"), Play("other"))
    bench.run(10, {"pair": PAGE, "other": BLIND})
    told = [report for report in bench.said if isinstance(report, Report) and any(arm.frame for arm in report.arms)]
    for report in told:
        one, other = report.arms
        assert one.frame.step == other.frame.step
    assert len(told) > 5
    assert bench.steps("other") > 100 and bench.steps("pair") > 100
