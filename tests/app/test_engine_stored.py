"""Checkpoints from which equal experiments go on, bit for bit as if they had been trained from the beginning."""

import dataclasses
import io
import pickle

import numpy as np
import pytest
import torch

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.records import stored
from app.engine.records.origin import origin_of
from app.engine.records.stored import MOST_LARGE_STEPS, MOST_STEPS, Stored
from app.engine.records.train_schedule import TrainSchedule
from app.engine.reports import Checkpoint, State
from app.engine.training import run
from app.engine.training.backends import NUMBA, TORCH
from resflow_core.data import Table
from resflow_core.flow import FlowConfig
from resflow_core.measure import Survey, SurveyPlan
from resflow_core.training.trainer import TrainConfig
from tests.app.backends import Always
from tests.app.requests import engine_without_time

A, B, C = (TrainConfig(batch=50, average=0.9, learning_rate=rate) for rate in (0.001, 0.002, 0.004))
ARM = Arm(FlowConfig(blocks=2, width=8), A, "moons")
ONE = Experiment((ARM,), 0)
VIEW_REQUEST = ViewRequest(grid=8, points=10, frames=False)
ROWS = np.random.default_rng(0).normal(size=(50, 2))


def arms(**changed):
    return dataclasses.replace(ONE, arms=(dataclasses.replace(ARM, **changed),))


def table(rows=ROWS, **changed):
    return Table("mine", ("x", "y"), rows, **changed)


def to(engine, id, step):
    report = engine.poll(id, VIEW_REQUEST)
    engine.step(id, step - report.arms[0].step)
    return engine.poll(id, VIEW_REQUEST)


def begun(engine, experiment, step=0, **made):
    id = engine.create(experiment, step, **made)
    return id, engine.poll(id, VIEW_REQUEST)


def flattened(part):
    """All that a state holds, in its order, tensors as bytes."""
    if isinstance(part, dict | list | tuple):
        for within in part.items() if isinstance(part, dict) else part:
            yield from flattened(within)
    else:
        yield part.numpy().tobytes() if isinstance(part, torch.Tensor) else part


def training(engine, id):
    """Weights, optimiser and generators, and what led to them."""
    arm = engine.poll(id, VIEW_REQUEST).arms[0]
    saved = engine._here.runs[id].job._trainer.state_bytes()
    state = list(flattened(torch.load(io.BytesIO(saved), weights_only=True)))
    return state, arm.loss.batch_nll.tolist(), arm.step, arm.train, arm.changes, arm.fingerprint


def what_it_is(engine, id):
    """All that was reported too, but times."""
    loss = engine.poll(id, VIEW_REQUEST).arms[0].loss
    curves = {name: np.array(values).tobytes() for name, values in vars(loss).items() if "seconds" not in name}
    return training(engine, id), curves


@pytest.fixture
def engine():
    return engine_without_time()


def test_an_equal_experiment_goes_on_bit_for_bit_and_with_its_curves(engine):
    first, _ = begun(engine, ONE)
    to(engine, first, 20)
    there = what_it_is(engine, first)
    to(engine, first, 30)
    straight = what_it_is(engine, first)
    equal = pickle.loads(pickle.dumps(ONE))
    assert [engine.stored(equal, step) for step in (19, 20, 29, 30, 99)] == [0, 20, 20, 30, 30]
    second, report = begun(engine, equal, 25)
    assert (report.state, report.arms[0].step, report.rewinds) == (State.PAUSED, 20, 0)
    assert what_it_is(engine, second) == there
    to(engine, second, 30)
    assert what_it_is(engine, second) == straight


def test_nothing_is_stored_for_the_beginning_nor_asked_of_it(engine):
    first, _ = begun(engine, ONE)
    assert (engine.stored(ONE, 99), engine.preserve(first), engine.preserve("unknown")) == (0, 0, 0)
    to(engine, first, 5)
    assert begun(engine, ONE)[1].arms[0].step == 0


def test_changes_are_the_same_whether_they_were_planned_or_made(engine):
    live, _ = begun(engine, ONE)
    for step, train in ((10, B), (20, C)):
        to(engine, live, step)
        engine.change(live, 0, train)
    to(engine, live, 30)
    planned = arms(changes=((10, B), (20, C), (40, A)))
    assert engine.stored(planned, 99) == 30
    second, report = begun(engine, planned, 99)
    assert (report.arms[0].train, report.arms[0].changes) == (C, ((10, B), (20, C)))
    to(engine, live, 40)
    engine.change(live, 0, A)
    for id in (live, second):
        to(engine, id, 45)
    assert training(engine, live) == training(engine, second)


def test_up_to_a_change_the_steps_are_those_of_all_who_do_not_make_it(engine):
    live, _ = begun(engine, ONE)
    to(engine, live, 10)
    engine.change(live, 0, B)
    to(engine, live, 20)
    assert engine.stored(ONE, 99) == 10
    assert engine.stored(arms(changes=((10, B),)), 99) == 20
    assert engine.stored(arms(changes=((10, C),)), 99) == 10  # it acts on steps behind it only
    assert engine.stored(arms(changes=((15, B),)), 99) == 10
    assert engine.stored(arms(changes=((5, B),)), 99) == 0
    assert engine.stored(arms(changes=((10, B), (20, A))), 99) == 20
    assert engine.stored(arms(train=B), 99) == 0
    second, report = begun(engine, arms(changes=((10, C),)), 99)
    assert (report.arms[0].step, report.arms[0].train) == (10, C)
    other, _ = begun(engine, arms(changes=((10, C),)))
    for id in (second, other):
        to(engine, id, 15)
    assert training(engine, second) == training(engine, other)


def test_settings_from_the_first_step_on_are_those_it_began_with(engine):
    live, _ = begun(engine, ONE)
    engine.change(live, 0, B)
    to(engine, live, 10)
    assert (engine.stored(ONE, 99), engine.stored(arms(train=B), 99)) == (0, 10)
    assert engine.stored(arms(changes=((0, B),)), 99) == 10


@pytest.mark.parametrize("end", ["reset", "close"])
def test_a_reset_and_a_close_store_how_far_it_was(engine, monkeypatch, end):
    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", 1e9)
    first, _ = begun(engine, ONE)
    engine.play(first)
    while (moving := engine.poll(first, VIEW_REQUEST)).arms[0].step < 3:
        pass
    assert (moving.state, engine.stored(ONE, 10**9)) == (State.PLAYING, 0)
    job = engine._here.runs[first].job
    there = job.step_count, job.save()
    getattr(engine, end)(first)
    found = engine._stored.find(ONE, 10**9)
    assert (found.step, found.data) == there
    assert engine.poll(first, VIEW_REQUEST).state is {"reset": State.PAUSED, "close": State.EXPIRED}[end]


def test_after_a_reset_a_run_goes_on_from_its_beginning(engine):
    first, _ = begun(engine, ONE)
    to(engine, first, 10)
    engine.reset(first)
    assert engine.preserve(first) == 0
    report = engine.poll(first, VIEW_REQUEST)
    assert (report.arms[0].step, report.rewinds, engine.preserve(first)) == (0, 1, 0)
    assert engine.stored(ONE, 99) == 10


def test_what_is_too_large_to_be_stored_is_not_saved_for_it(engine, monkeypatch):
    monkeypatch.setattr(run, "MOST_ENTRY_BYTES", 0)
    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", 1e9)
    first, _ = begun(engine, ONE)
    engine.play(first)
    engine.poll(first, VIEW_REQUEST)
    job = engine._here.runs[first].job
    monkeypatch.setattr(job, "save", lambda: pytest.fail("it was saved"))
    engine.close(first)
    assert engine.stored(ONE, 10**9) == 0


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(ONE, seed=1),
        dataclasses.replace(ONE, device="cpu"),
        arms(seed=1),
        arms(data="circles"),
        arms(data=table()),
        arms(flow=FlowConfig(blocks=2, width=9)),
        arms(weights=b"others"),
        arms(by_torch=True),
        dataclasses.replace(ONE, arms=(ARM, ARM)),
    ],
)
def test_what_begins_otherwise_shares_nothing(other):
    store = Stored()
    store.put(checkpoint(10))
    assert store.find(other, 10) is None
    assert store.find(ONE, 10).step == 10


def test_a_file_is_the_same_by_its_rows_and_labels():
    labels = tuple("ab" * 25)
    mine = origin_of(arms(data=table()))
    assert mine == origin_of(arms(data=Table("again", ("u", "v"), ROWS.copy())))
    assert hash(mine) == hash(origin_of(arms(data=table())))
    others = [table(ROWS + 1e-12), table(ROWS[::-1]), table(labels=labels), table(labels=labels[::-1])]
    assert len({mine, *(origin_of(arms(data=other)) for other in others)}) == 5
    assert origin_of(arms(weights=b"1")) == origin_of(arms(weights=bytes([49]))) != origin_of(arms(weights=b"2"))


def test_a_measurement_is_not_repeated_by_another_run():
    plan = SurveyPlan(FlowConfig(), batch=64, terms=8, draws=16)
    measured = arms(data=Survey(plan))
    assert origin_of(measured) is None
    store = Stored()
    assert not store.put(dataclasses.replace(checkpoint(3), origin=None))
    assert store.find(measured, 3) is None


@pytest.mark.thorough
def test_a_run_goes_on_by_what_began_it_and_who_asks_gets_the_same_digits():
    backends = Always(TORCH)
    engine = engine_without_time(backends=backends)
    by = {}
    for backends.now in (TORCH, NUMBA):
        id, _ = begun(engine, ONE)
        to(engine, id, 10)
        by[backends.now] = training(engine, id)
        engine.close(id)
    made = {name: (it[-1],) for name, it in by.items()}
    assert made[TORCH] != made[NUMBA]
    for name in by:
        again, _ = begun(engine, ONE, 10, fingerprints=made[name])
        assert training(engine, again) == by[name]
    newest, _ = begun(engine, ONE, 10)
    assert training(engine, newest) == by[NUMBA]
    assert engine.stored(ONE, 10, fingerprints=("an abacus",)) == 0


def checkpoint(step, experiment=ONE, size=100, fingerprints=("torch",)):
    schedules = tuple(map(TrainSchedule.of, experiment.arms))
    return Checkpoint("id", step, bytes(size), schedules, 0, origin_of(experiment), fingerprints)


def steps_of(store, experiment=ONE, most=2000):
    found, step = [], most
    while at := store.find(experiment, step):
        found.append(at.step)
        step = at.step - 1
    return found[::-1]


def test_of_one_experiment_the_first_the_newest_and_some_between_are_kept():
    store = Stored()
    for step in range(1, 1001):
        store.put(checkpoint(step))
    kept = steps_of(store)
    assert (kept[0], kept[-1], len(kept)) == (1, 1000, MOST_STEPS)
    assert np.diff(kept).max() < 1000 / MOST_STEPS * 2.5
    for step in range(900, 100, -7):  # the newest, wherever it is
        store.put(checkpoint(step))
        assert {1, step, 1000} <= set(steps_of(store))
    assert store.bytes == MOST_STEPS * 100
    store.put(checkpoint(step, size=50))
    assert store.bytes == MOST_STEPS * 100 - 50


def test_of_large_steps_fewer_are_kept_and_no_course_takes_all_of_the_memory():
    store = Stored(most_bytes=16_000, most_entry_bytes=1_000)
    other = arms(train=B)
    store.put(checkpoint(1, other))
    for step in range(1, 101):
        store.put(checkpoint(step, size=1_000))
    assert len(steps_of(store)) == MOST_LARGE_STEPS
    assert steps_of(store, other) == [1]
    assert store.bytes == 1_000 * MOST_LARGE_STEPS + 100


def test_the_steps_of_which_an_experiment_is_the_continuation_cross_changes():
    store, changed = Stored(), arms(changes=((10, B), (20, C)))
    for step, of in ((5, ONE), (10, ONE), (15, ONE), (15, arms(changes=((10, B),))), (25, changed), (30, changed)):
        store.put(checkpoint(step, of))
    store.put(checkpoint(25, changed, fingerprints=("numba",)))
    store.put(checkpoint(27, changed, fingerprints=("numba",)))
    assert store.steps(changed, 99) == (5, 10, 15, 25, 27, 30)
    assert store.steps(changed, 99, ("torch",)) == (5, 10, 15, 25, 30)
    assert store.steps(changed, 26) == (5, 10, 15, 25)
    assert store.steps(ONE, 99) == (5, 10, 15)
    assert store.steps(arms(changes=((12, C),)), 99) == (5, 10)
    assert store.steps(ONE, 0) == ()


def test_the_experiments_that_were_used_least_recently_go_first():
    store = Stored(most_bytes=350)
    experiments = [dataclasses.replace(ONE, seed=seed) for seed in range(4)]
    for experiment in experiments[:3]:
        store.put(checkpoint(10, experiment))
    assert store.find(experiments[0], 10)  # used
    store.put(checkpoint(10, experiments[3]))
    assert [bool(store.find(one, 10)) for one in experiments] == [True, False, True, True]
    assert store.bytes == 300


def test_one_that_is_too_large_is_refused():
    store = Stored(most_bytes=150, most_entry_bytes=100)
    assert not store.put(checkpoint(10, size=101))
    assert store.put(checkpoint(10, size=100))
    assert not store.put(checkpoint(0))
    assert store.bytes == 100


def test_the_limits_are_those_of_a_small_server():
    assert (stored.MOST_BYTES, stored.MOST_ENTRY_BYTES) == (2**27, 2**23)
    assert run.MOST_ENTRY_BYTES == stored.MOST_ENTRY_BYTES
