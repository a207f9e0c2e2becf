"""Runs whose steps would hold up others: estimated before they begin, measured afterwards, and let wait."""

import dataclasses

import pytest
import torch
from resflow_core.training.step_cost import piece_seconds, step_seconds
from torch.utils.flop_counter import FlopCounterMode

from app.engine import step_time
from app.engine.commands import Change, Close, Create, Leave, Play
from app.engine.experiment import Arm, Experiment
from app.engine.reports import Checkpoint, Report, State
from app.engine.scheduler import Scheduler
from app.engine.step_time import LONGEST_STEP_SECONDS, StepTime
from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure.scaling import DIMS, Plan
from resflow_core.training import step_cost
from resflow_core.training import step_work as step_work_file
from resflow_core.training.parameter_count import parameter_count
from resflow_core.training.step_work import USUAL_SECONDS, affords_exact_losses, step_work
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig, Trainer
from tests.app.test_engine_scheduler import BLIND, Bench, Clock, FakeJob, at_once

LIGHT = Experiment((Arm(FlowConfig(blocks=2), TrainConfig(batch=100), "moons"),), seed=0)
LIMITS = FlowConfig(blocks=32, width=256, hidden_layers=4)
# The norms of these are computed anew in each piece of a step, which nothing interrupts.
HEAVY = Experiment((Arm(LIMITS, TrainConfig(batch=500, log_det=Roulette()), "moons"),), seed=0)


class SlowAtTheLimits(FakeJob):
    """As expected: a step of a flow at the limits of its settings takes long."""

    def step(self):
        super().step()
        self._clock.now += 3.0 * (self.arm.flow == LIMITS)


SECONDS_PER_WORK = step_cost._seconds_per_work


@pytest.fixture(autouse=True)
def usual_machine(monkeypatch):
    """Whatever the machine at hand can do."""
    monkeypatch.setattr(step_cost, "_seconds_per_work", lambda: USUAL_SECONDS)
    step_time._seconds.cache_clear()
    yield
    step_time._seconds.cache_clear()


@pytest.fixture
def bench():
    clock = Clock()
    return Bench(Scheduler(clock, cpu=clock, new_job=at_once(SlowAtTheLimits), memory=lambda: 0), clock)


def test_at_the_limits_of_the_settings_a_step_waits_while_others_are_there_and_says_what_to_lower(bench):
    bench.do(Create("light", LIGHT), Play("light"))
    bench.run(1, {"light": BLIND})
    bench.do(Create("heavy", HEAVY), Play("heavy"))
    bench.run(3, {"light": BLIND, "heavy": BLIND})
    waits = bench.last("heavy")
    assert (waits.state, waits.queue_place, waits.arms) == (State.QUEUED, 0, ())
    assert waits.step_seconds > LONGEST_STEP_SECONDS
    for named in (f"{waits.step_seconds:.2g} s", f"{LONGEST_STEP_SECONDS:g} s", "width", "blocks"):
        assert named in waits.message
    bench.do(Close("light"))
    bench.run(20, {"heavy": BLIND})
    assert (bench.last("heavy").state, bench.last("heavy").message) == (State.PLAYING, "")
    assert bench.steps("heavy") > 3


def test_it_makes_way_for_who_comes_and_goes_on_where_it_was(bench):
    bench.do(Create("heavy", HEAVY), Play("heavy"))
    bench.run(20, {"heavy": BLIND})
    bench.do(Create("light", LIGHT))
    bench.run(1, {"heavy": BLIND, "light": BLIND})
    assert (bench.last("heavy").state, bench.last("light").state) == (State.QUEUED, State.PAUSED)
    saved = [m.step for m in bench.said if isinstance(m, Checkpoint) and m.id == "heavy"][-1]
    assert saved == bench.steps("heavy") > 3
    bench.do(Leave("light"))
    bench.run(10, {"heavy": BLIND})
    assert bench.last("heavy").state is State.PLAYING
    assert bench.steps("heavy") > saved


def test_a_smaller_batch_lets_it_in(bench):
    bench.do(Create("light", LIGHT), Create("heavy", HEAVY), Play("heavy"))
    bench.run(1, {"light": BLIND, "heavy": BLIND})
    assert bench.last("heavy").state is State.QUEUED
    bench.do(Create("wide", Experiment((dataclasses.replace(HEAVY.arms[0], flow=FlowConfig(width=256)),), 0)))
    bench.do(Change("wide", 0, TrainConfig(batch=2)))
    bench.run(1, {"light": BLIND, "heavy": BLIND, "wide": BLIND})
    assert bench.last("wide").state is State.PAUSED


def test_of_two_the_first_goes_on_and_the_second_waits(bench):
    bench.do(Create("first", HEAVY), Create("second", HEAVY), Play("first"), Play("second"))
    bench.run(20, {"first": BLIND, "second": BLIND})
    assert (bench.last("first").state, bench.last("second").state) == (State.PLAYING, State.QUEUED)
    bench.do(Close("first"))
    bench.run(20, {"second": BLIND})
    assert bench.last("second").state is State.PLAYING


def test_what_steps_really_take_counts_more_than_what_was_expected(bench):
    class Slower(FakeJob):
        def step(self):
            super().step()
            self._clock.now += 0.6

    bench.scheduler._new_job = at_once(Slower)
    bench.do(Create("slow", LIGHT), Play("slow"))
    bench.run(5, {"slow": BLIND})
    assert bench.last("slow").state is State.PLAYING  # it is alone
    assert bench.last("slow").step_seconds == pytest.approx(0.601, rel=1e-3)
    bench.do(Create("other", LIGHT))
    bench.run(1, {"slow": BLIND, "other": BLIND})
    assert bench.last("slow").state is State.QUEUED


def test_an_expectation_holds_until_three_steps_are_measured():
    steps = StepTime()
    steps.expect([(HEAVY.arms[0], HEAVY.arms[0].train), (LIGHT.arms[0], LIGHT.arms[0].train)])
    expected = steps.seconds
    assert expected == piece_seconds(LIMITS, HEAVY.arms[0].train)
    for measured in (0.1, 0.3):
        steps.add(0, measured)
        assert steps.seconds == expected
    steps.add(0, 0.2)
    assert steps.seconds == 0.2
    steps.add(1, 0.4)
    assert steps.seconds == 0.4  # of the dearest arm
    steps.expect([(LIGHT.arms[0], LIGHT.arms[0].train)])
    assert steps.seconds < 0.01


def test_measurements_that_are_run_like_training_are_not_taken_for_long_steps():
    plan = Plan(FlowConfig(blocks=2, width=64), TrainConfig(log_det=Roulette(), batch=64), DIMS)
    steps = StepTime()
    steps.expect([(Arm(LIMITS, TrainConfig(batch=4_096), plan), TrainConfig(batch=4_096))])
    assert steps.seconds == 0.0


class Cloud:
    """Points in three dimensions."""

    def sample(self, n, generator):
        return torch.randn(n, 3, generator=generator)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("dim", "data", "batch"), [(2, DATASETS["moons"], 320), (3, Cloud(), 32)], ids=["matrices", "products"]
)
def test_the_matrix_products_of_a_step_are_about_as_many_as_are_expected(dim, data, batch, monkeypatch):
    """Counted, so that no clock is needed. What is beside them is left out of the expectation."""
    monkeypatch.setattr(step_work_file, "UNIT", 0)
    monkeypatch.setattr(step_work_file, "PARAMETER", 0)
    monkeypatch.setattr(step_work_file, "MATRIX_TERM", 0)
    flow = FlowConfig(blocks=2, width=24, hidden_layers=2, dim=dim)
    for log_det in (
        Exact(),
        Truncated(1),
        Truncated(10),
        Truncated(10, n_probes=2),
        Truncated(5, gradient="plain"),
        Roulette(),
        Roulette(n_draws=4),
    ):
        train = TrainConfig(batch=batch, log_det=log_det)
        trainer = Trainer(flow, train, data, seed=0, exact_losses=affords_exact_losses(flow))
        with FlopCounterMode(display=False) as counted:
            trainer.step()
        assert 2 / 3 < step_work(flow, train).total / (counted.get_total_flops() / 2) < 3 / 2, log_det


def test_what_is_beside_the_products_counts_by_unit_and_by_weight():
    """Blocks of two layers take in 2 + 8 numbers, and a point passes 3 (1 + d) = 9 times."""
    flow = FlowConfig(blocks=4, width=8)
    weights = parameter_count(flow)
    assert step_work(flow, TrainConfig(batch=50)) == (50 * 9 * (weights + 100 * 4 * 10), 3750 * weights)


def test_a_short_step_is_that_of_a_usual_machine_and_a_long_one_is_measured_by_the_fastest_of_some(monkeypatch):
    durations, clock = iter([3.0, 1.0, 2.0, 4.0]), [0.0]

    class Fake:
        def __init__(self, flow, train, data, seed):
            assert (flow, train) == step_cost.REFERENCE

        def step(self):
            clock[0] += next(durations)

    monkeypatch.setattr(step_cost, "Trainer", Fake)
    monkeypatch.setattr(step_cost.time, "thread_time", lambda: clock[0])
    monkeypatch.setattr(step_cost, "_seconds_per_work", SECONDS_PER_WORK.__wrapped__)
    flow, train = step_cost.REFERENCE
    work = step_work(flow, train).total
    assert work * USUAL_SECONDS < step_cost.SMALL_SECONDS
    assert step_seconds(flow, train) == work * USUAL_SECONDS
    larger = dataclasses.replace(train, batch=8 * train.batch)
    assert step_work(flow, larger).total * USUAL_SECONDS > step_cost.SMALL_SECONDS
    assert step_seconds(flow, larger) == pytest.approx(step_work(flow, larger).total / work * 1.0)


def test_more_of_anything_is_more_work():
    flow, train = FlowConfig(blocks=4, width=32), TrainConfig(batch=100, log_det=Truncated(5))
    less = step_work(flow, train).total
    for name, value in (("blocks", 8), ("width", 64), ("hidden_layers", 2)):
        assert step_work(dataclasses.replace(flow, **{name: value}), train).total > less
    assert step_work(flow, dataclasses.replace(train, batch=200)).total > less
    for log_det in (Truncated(10), Truncated(5, n_probes=2), Truncated(5, gradient="plain"), Roulette(n_draws=4)):
        assert step_work(flow, dataclasses.replace(train, log_det=log_det)).total > less
    assert step_work(flow, dataclasses.replace(train, log_det=Exact())).total < less


def test_every_kind_of_flow_is_estimated():
    for kind in BASELINES:
        few, many = (step_work(BaselineConfig(kind, n, 64, 2), TrainConfig()).total for n in (2, 8))
        assert 0 < few < many
    alone = step_work(FlowConfig(), TrainConfig()).total
    assert step_work(HybridConfig(FlowConfig(), 2), HybridTrainConfig()).total > alone
    assert 0 < step_work(HybridConfig(None, 2), HybridTrainConfig()).total < alone


def test_a_report_says_what_a_step_takes(bench):
    bench.do(Create("a", LIGHT))
    bench.run(1, {"a": BLIND})
    assert isinstance(bench.said[-1], Report | Checkpoint)
    assert 0 < bench.last("a").step_seconds < LONGEST_STEP_SECONDS
