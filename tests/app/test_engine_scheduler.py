"""Laws of the scheduler, on a clock that only work moves."""

import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest

from app.engine.budget import BURST_SECONDS, SHARE
from app.engine.history import MOST, History
from app.engine.messages import (
    Arm,
    Change,
    Checkpoint,
    Close,
    Create,
    Demand,
    Experiment,
    Frame,
    Leave,
    Masses,
    Pause,
    Play,
    Poll,
    Report,
    Reset,
    State,
    Step,
)
from app.engine.scheduler import Scheduler
from resflow_core.flow import FlowConfig
from resflow_core.measure import Estimate
from resflow_core.training import Diverged, TrainConfig

FRAME_COST = 0.02
EXPERIMENT = Experiment((Arm(FlowConfig(), TrainConfig(batch=500), "moons"),), seed=0)
PAIR = Experiment(EXPERIMENT.arms * 2, seed=0)
BLIND = Demand(frames=False)


class FakeJob:
    """Work of known cost: a batch of b points takes b / 100,000 s; a learning rate of 0.1 diverges at step 50."""

    device = "cpu"

    device_reason = ""

    def __init__(self, arm, seed, device, clock):
        self._train, self._clock = arm.train, clock
        self.step_count, self.seconds = 0, 0.0

    def configure(self, train):
        self._train = train

    def step(self):
        if self._train.learning_rate == 0.1 and self.step_count == 49:
            raise Diverged("Lower the learning rate.")
        if self._train.learning_rate == 0.05:
            raise TypeError("a bug")
        self._clock.now += self._train.batch / 100_000
        self.step_count += 1

    def measure_held_out(self):
        self._clock.now += FRAME_COST
        return "blocks"

    def masses(self, n):
        yield None
        yield Masses(self.step_count, None, None)

    def export(self):
        return b"flow"

    def curves(self):
        return History().curves()

    def frame(self, demand, *, with_samples):
        self._clock.now += FRAME_COST
        empty = np.empty((0, 2), np.uint16)
        return Frame(self.step_count, 0.0, empty, 1.0, empty, empty, empty if with_samples else None)

    def still(self, demand):
        yield None
        yield self.frame(demand, with_samples=True)

    def save(self):
        return pickle.dumps(self.step_count)

    def restore(self, saved):
        self.step_count = pickle.loads(saved)


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
        while self.clock.now < end:
            if demands and self.clock.now >= polled + 1:
                polled = self.clock.now
                self.do(*(Poll(id, demand) for id, demand in demands.items()))
            self.said += self.scheduler.tick()
            if not self.scheduler.is_busy():
                self.clock.now += 0.01

    def last(self, id):
        return next(m for m in reversed(self.said) if isinstance(m, Report) and m.id == id)

    def steps(self, id):
        return next(m for m in reversed(self.said) if isinstance(m, Report) and m.id == id and m.arms).arms[0].step

    def frames(self, id):
        return [f for m in self.said if isinstance(m, Report) and m.id == id for a in m.arms for f in a.frames]


@pytest.fixture
def bench():
    clock = Clock()
    return Bench(Scheduler(clock, new_job=FakeJob, memory=lambda: 0), clock)


def with_train(**settings):
    return Experiment((Arm(FlowConfig(), TrainConfig(**settings), "moons"),), seed=0)


def test_training_time_is_fair_whatever_a_step_costs_and_whoever_looks(bench):
    bench.do(
        Create("cheap", with_train(batch=500)), Create("dear", with_train(batch=2000)), Play("cheap"), Play("dear")
    )
    bench.run(20, {"cheap": Demand(), "dear": BLIND})
    assert bench.steps("cheap") / bench.steps("dear") == pytest.approx(4, rel=0.1)


def test_who_wakes_late_has_no_arrears(bench):
    bench.do(Create("a", EXPERIMENT), Create("b", EXPERIMENT), Play("a"))
    bench.run(8, {"a": BLIND, "b": BLIND})
    before = bench.steps("a")
    bench.do(Play("b"))
    bench.run(8, {"a": BLIND, "b": BLIND})
    assert bench.steps("b") == pytest.approx(bench.steps("a") - before, rel=0.1)


def test_arms_are_at_the_same_step_in_every_report(bench):
    bench.do(Create("a", PAIR), Play("a"))
    bench.run(3, {"a": Demand()})
    reports = [m for m in bench.said if isinstance(m, Report) and m.arms]
    assert reports[-1].arms[0].step > 100
    assert all(m.arms[0].step == m.arms[1].step for m in reports)
    assert all(m.arms[0].frames[0].step == m.arms[1].frames[0].step for m in reports if m.arms[0].frames)


def test_step_takes_exactly_that_many_even_out_of_play(bench):
    bench.do(Create("a", EXPERIMENT), Step("a", 100), Step("a", 7))
    bench.run(5, {"a": Demand()})
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


@pytest.mark.parametrize("pages", [1, 16])
def test_pictures_take_at_most_a_fifth_of_the_time_and_all_pages_get_some(bench, pages):
    ids = [str(i) for i in range(pages)]
    bench.do(*(Create(id, EXPERIMENT) for id in ids), *(Play(id) for id in ids))
    bench.run(20, dict.fromkeys(ids, Demand()))
    trained = sum(bench.steps(id) for id in ids) * 500 / 100_000
    assert bench.clock.now - trained <= SHARE * bench.clock.now + BURST_SECONDS + 2 * FRAME_COST
    assert bench.last("0").frame_share <= SHARE + 0.03
    counts = [len(bench.frames(id)) for id in ids]
    assert max(counts) - min(counts) <= 2
    assert 5 <= min(counts) <= 8 * 20 + 1


def test_no_demand_no_frames_but_losses(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(4, {"a": BLIND})
    assert bench.frames("a") == []
    assert any(a.loss for m in bench.said if isinstance(m, Report) for a in m.arms)


def test_a_flow_that_stands_still_is_drawn_once_and_then_there_is_nothing_to_do(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(5, {"a": Demand()})
    assert [f.step for f in bench.frames("a")] == [0]
    assert sum(a.still is not None for m in bench.said if isinstance(m, Report) for a in m.arms) == 1
    assert not bench.scheduler.is_busy()


@pytest.mark.parametrize("leave", [True, False])
def test_a_page_that_is_gone_pauses_its_run_until_the_next_poll(bench, leave):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(2, {"a": Demand()})
    if leave:
        bench.do(Leave("a"))
    bench.run(12)
    gone = bench.steps("a")
    assert gone <= (2.1 if leave else 12.1) / 0.005
    bench.run(50)
    assert bench.steps("a") == gone
    bench.run(1, {"a": Demand()})
    assert bench.steps("a") > gone
    assert bench.last("a").state is State.PLAYING


def test_a_run_without_a_page_is_dropped_after_ten_minutes(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(590)
    assert bench.last("a").state is not State.EXPIRED
    bench.run(20)
    assert bench.last("a").state is State.EXPIRED
    assert "ten minutes" in bench.last("a").message
    assert bench.scheduler.is_empty()


def test_queue_tells_the_place_and_moves_up():
    clock = Clock()
    bench = Bench(Scheduler(clock, most=1, new_job=FakeJob, memory=lambda: 0), clock)
    bench.do(*(Create(id, EXPERIMENT) for id in "abc"), Step("c", 3))
    bench.run(0.1)
    assert [bench.last(id).queue_place for id in "abc"] == [0, 1, 2]
    assert "number 2 in the queue" in bench.last("c").message
    bench.do(Close("a"))
    bench.run(0.1)
    assert [bench.last(id).queue_place for id in "bc"] == [0, 1]
    bench.do(Leave("b"), Close("b"))
    bench.run(0.1)
    assert (bench.last("c").state, bench.steps("c"), bench.last("c").message) == (State.PAUSED, 3, "")


def test_who_is_gone_longest_makes_way_for_who_waits():
    clock = Clock()
    bench = Bench(Scheduler(clock, most=2, new_job=FakeJob, memory=lambda: 0), clock)
    bench.do(Create("a", EXPERIMENT), Create("b", EXPERIMENT))
    bench.run(0.1)
    bench.do(Leave("a"))
    bench.run(5, {"b": BLIND})
    assert bench.last("a").state is State.PAUSED  # nobody waits, so it keeps its place
    bench.do(Leave("b"), Create("c", EXPERIMENT))
    bench.run(0.1, {"c": BLIND})
    assert [bench.last(id).state for id in "abc"] == [State.EXPIRED, State.PAUSED, State.PAUSED]


def test_full_memory_queues_all_but_the_first():
    clock = Clock()
    bench = Bench(Scheduler(clock, new_job=FakeJob, memory=lambda: 5 * 2**30), clock)
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
    assert report.message == "Arm 2: Lower the learning rate. Back at step 20."
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
    saved = [m.step for m in bench.said if isinstance(m, Checkpoint)]
    assert len(saved) == 3
    assert (saved[0], saved[-1]) == (0, bench.steps("a"))


def test_a_checkpoint_continues_in_another_scheduler(bench):
    bench.do(Create("a", EXPERIMENT), Step("a", 30))
    bench.run(1)
    saved = next(m for m in reversed(bench.said) if isinstance(m, Checkpoint))
    bench.do(Create("b", EXPERIMENT, saved, steps=5))
    bench.run(1)
    assert bench.steps("b") == 35


def test_a_bug_in_one_run_ends_that_run_only(bench):
    bench.do(Create("bad", with_train(learning_rate=0.05)), Create("good", EXPERIMENT), Play("bad"), Play("good"))
    bench.run(1)
    assert bench.last("bad").state is State.FAILED
    assert "TypeError: a bug" in bench.last("bad").message
    assert bench.steps("good") > 100


def test_every_command_but_polls_is_counted(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"), Poll("a", Demand()), Pause("a"))
    bench.run(0.1)
    assert bench.last("a").handled == 2


def test_history_keeps_true_points_and_the_newest():
    history = History()
    for step in range(1, 5001):
        history.add_batch(step, float(step))
        history.add_held_out(step, Estimate(float(step), 0.1), None)
    curves = history.curves()
    assert len(curves.step) <= MOST
    assert len(curves.held_step) <= MOST
    np.testing.assert_array_equal(curves.step, curves.batch_nll)
    assert set(np.diff(curves.step)) == {16}
    assert curves.held_step[-1] == 5000
