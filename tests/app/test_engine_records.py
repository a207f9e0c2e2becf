"""What the server remembers of a run, so that another process can continue it as it was, and the checkpoints from which
equal experiments go on, bit for bit as if they had been trained from the beginning."""

import dataclasses
import pickle

import numpy as np
import pytest

from app.engine.commands import Change, Create, Play, Reset, Step, ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.records.dropped import Dropped
from app.engine.records.experiment_record import ExperimentRecord
from app.engine.records.latest_report import LatestReport
from app.engine.records.origin import origin_of
from app.engine.records.stored import MOST_LARGE_STEPS, MOST_STEPS, Stored
from app.engine.records.train_schedule import TrainSchedule
from app.engine.reports import ArmReport, Checkpoint, HandedOut, Report, State, adds_nothing
from app.engine.training.backends import NUMBA, TORCH
from resflow_core.data import Table
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig
from tests.app.backends import Always
from tests.app.pages import named
from tests.app.requests import engine_without_time

A, B, C = (TrainConfig(batch=batch) for batch in (10, 20, 30))
ARM = Arm(FlowConfig(), A, "moons", changes=((5, B), (9, C)))
PLANNED = Experiment((Arm(FlowConfig(), A, "moons", changes=((5, B),)),), 0)


@pytest.fixture
def record():
    return ExperimentRecord(PLANNED, LatestReport("id"))


def saved(step, handled, *changes):
    schedule = TrainSchedule.of(dataclasses.replace(PLANNED.arms[0], changes=changes))
    return Checkpoint("id", step, b"", (schedule,), handled)


def report(step, train, handled):
    return Report("id", State.PLAYING, (ArmReport(step, 0.0, 0.0, train=train),), handled=handled)


def test_changes_since_the_checkpoint_are_sent_again_in_their_order(record):
    first, second = Change("id", 0, B), Change("id", 0, C)
    for command in (Play("id"), first, second):
        record.note(command)
    record.lose()
    create, *changes = record.start()
    assert isinstance(create, Create)
    assert (create.experiment, create.checkpoint, changes) == (PLANNED, None, [first, second])
    record.receive(saved(3, 1, (2, B)))  # by the new worker, which had handled one of the two
    record.lose()
    create, *changes = record.start()
    assert (create.checkpoint.step, changes) == (3, [second])
    record.receive(saved(4, 1, (2, B), (3, C)))
    assert record.start()[1:] == []


def test_steps_that_were_asked_for_are_counted_from_the_checkpoint(record):
    record.note(Step("id", 10))
    record.receive(saved(4, 1))
    record.receive(Report("id", State.STEPPING, (ArmReport(7, 0.0, 0.0, train=A),), handled=1, steps_left=3))
    record.lose()
    (create,) = record.start()
    assert (create.checkpoint.step, create.steps) == (4, 6)
    record.receive(report(20, A, handled=1))  # it has moved on
    record.note(Step("id", 5))
    assert record.where.goal == 25


def playing_from(record, step):
    record.note(Play("id"))
    record.receive(saved(step, 1))


def test_a_run_is_not_set_aside_for_what_it_did_not_do_nor_once_it_got_further(record):
    playing_from(record, 7)
    for _ in range(10):
        record.lose()  # at work on another one
    record.lose(at=9)
    record.receive(saved(10, 1))
    record.lose(at=9)
    assert not record.set_aside
    for at in (11, 14, 12):
        assert not record.set_aside
        record.lose(at)
    assert record.set_aside  # four times without getting any further
    assert {"4", "10"} <= named(record.answer().message)
    create, *_ = record.take_up()
    assert (create.checkpoint.step, record.answer().state, record.set_aside) == (10, State.LOADING, False)


@pytest.mark.parametrize("state", [State.PLAYING, State.PAUSED])
def test_a_silent_process_is_spoken_of_where_something_is_waited_for(record, state):
    record.receive(Report("id", state, (ArmReport(7, 127.0, 0.0, train=A),)))
    assert (record.answer(2.9).message, record.answer(2.9).arms[0].steps_per_second) == ("", 127.0)
    silent = record.answer(4.0)
    told = state is State.PLAYING
    assert ("4 s" in silent.message, silent.arms[0].steps_per_second == 0.0) == (told, told)


def test_a_dropped_run_says_why_and_goes_on_from_its_checkpoint(record):
    playing_from(record, 7)
    why = "This run was dropped: nobody knows why."
    record.drop(why)
    answer = record.answer()
    assert (answer.state, answer.resumes_at) == (State.EXPIRED, 7)
    assert why in answer.message and "7" in named(answer.message)
    create, *_ = record.take_up()
    assert (create.checkpoint.step, create.playing, create.present) == (7, False, True)
    record.note(Step("id", 3))
    assert record.answer().resumes_at is None


def test_each_change_takes_over_when_its_steps_are_done():
    schedule = TrainSchedule.of(ARM)
    assert [schedule.at(step) for step in (0, 4, 5, 8, 9, 100)] == [A, A, B, B, C, C]
    assert [schedule.changes(step) for step in (4, 5, 9)] == [(), ((5, B),), ((5, B), (9, C))]
    assert schedule.planned(ARM) == ARM
    other = dataclasses.replace(ARM, changes=((9, C), (5, C), (5, B)))  # the last of one step counts
    assert TrainSchedule.of(other) == schedule
    assert [schedule.restarted(6).at(step) for step in (0, 50)] == [B, B]


def test_a_live_change_gives_up_what_was_planned_for_later():
    schedule = TrainSchedule.of(ARM).changed(7, A)
    assert [schedule.at(step) for step in (6, 7, 9)] == [B, A, A]
    assert schedule.changes(9) == ((5, B), (7, A))


def test_a_change_at_step_zero_is_the_beginning_and_no_change():
    schedule = TrainSchedule.of(dataclasses.replace(ARM, changes=())).changed(0, B)
    assert (schedule.at(0), schedule.changes(10)) == (B, ())
    assert TrainSchedule.of(dataclasses.replace(ARM, changes=((0, C),))).at(0) == C


def test_what_is_taken_back_at_once_was_no_change():
    schedule = TrainSchedule.of(dataclasses.replace(ARM, changes=())).changed(3, B).changed(3, A)
    assert schedule.changes(10) == ()
    assert schedule.changed(4, A).changes(10) == ()
    assert schedule.changed(3, C).changes(10) == ((3, C),)


def arms_at(step, state=State.PLAYING, arms=2):
    return Report("a", state, tuple(ArmReport(step, 0.0, 0.0) for _ in range(arms)))


def weights(mailbox):
    return [arm.weights for arm in mailbox.report.arms]


def test_the_newest_weights_of_each_arm_stay_until_newer_ones_come():
    mailbox = LatestReport("a")
    mailbox.put(arms_at(1))
    mailbox.hand(HandedOut("a", 1, (b"one", None)))
    mailbox.hand(HandedOut("a", 1, (None, b"two")))
    mailbox.put(arms_at(2))
    assert weights(mailbox) == [b"one", b"two"]
    mailbox.hand(HandedOut("a", 2, (b"newer", None)))
    assert weights(mailbox) == [b"newer", b"two"]
    mailbox.put(Report("a", State.QUEUED))  # which has no arms
    assert weights(mailbox) == [b"newer", b"two"]
    mailbox.put(arms_at(0))  # it goes back
    assert (mailbox.report.rewinds, weights(mailbox)) == (1, [None, None])


def test_new_weights_of_what_stands_still_are_news():
    mailbox = LatestReport("a")
    mailbox.put(arms_at(5, State.PAUSED, arms=1))
    mailbox.hand(HandedOut("a", 5, (b"trained",)))
    before = mailbox.report
    assert adds_nothing(mailbox.report, before)
    waits = dataclasses.replace(before, awaits=True)  # for what its page wants
    assert not adds_nothing(waits, waits)
    mailbox.hand(HandedOut("a", 5, (b"edited",)))
    assert not adds_nothing(mailbox.report, before)


def test_a_checkpoint_from_before_a_reset_does_not_bring_the_old_run_back(record):
    record.note(Play("id"))
    record.note(Reset("id"))
    record.receive(saved(50, 1))
    assert record.checkpoint is None
    record.receive(saved(0, 2))
    assert record.checkpoint.step == 0


def test_of_dropped_runs_the_newest_are_kept_as_far_as_the_limit_goes():
    store = Dropped(most_bytes=100)
    for i in range(5):
        one = ExperimentRecord(PLANNED, LatestReport(str(i)))
        one.receive(dataclasses.replace(saved(i, 0), data=bytes(30)))
        store.put(str(i), one)
    assert [str(i) in store for i in range(5)] == [False, False, True, True, True]
    large = ExperimentRecord(PLANNED, LatestReport("large"))
    large.receive(dataclasses.replace(saved(1, 0), data=bytes(101)))
    store.put("large", large)
    assert "large" not in store and store.pop("large") is None


D, E, F = (TrainConfig(batch=50, average=0.9, learning_rate=rate) for rate in (0.001, 0.002, 0.004))
SMALL = Arm(FlowConfig(blocks=2, width=8), D, "moons")
ONE = Experiment((SMALL,), 0)
VIEW_REQUEST = ViewRequest(grid=8, points=10, frames=False)
ROWS = np.random.default_rng(0).normal(size=(50, 2))


def arms(**changed):
    return dataclasses.replace(ONE, arms=(dataclasses.replace(SMALL, **changed),))


def table(rows=ROWS, **changed):
    return Table("mine", ("x", "y"), rows, **changed)


def to(engine, id, step):
    report = engine.poll(id, VIEW_REQUEST)
    engine.step(id, step - report.arms[0].step)
    return engine.poll(id, VIEW_REQUEST)


def begun(engine, experiment, step=0, **made):
    id = engine.create(experiment, step, **made)
    return id, engine.poll(id, VIEW_REQUEST)


def what_it_is(engine, id):
    """Weights and losses, and what led to them."""
    arm = engine.poll(id, VIEW_REQUEST).arms[0]
    curves = arm.loss.batch_nll.tolist(), arm.loss.held_step.tolist(), arm.loss.held_nll.tolist()
    return engine.export(id, 0), *curves, arm.step, arm.train, arm.changes, arm.fingerprint


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


def test_up_to_a_change_the_steps_are_those_of_all_who_do_not_make_it(engine):
    live, _ = begun(engine, ONE)
    to(engine, live, 10)
    engine.change(live, 0, E)
    to(engine, live, 20)
    assert engine.stored(ONE, 99) == 10
    assert engine.stored(arms(changes=((10, E),)), 99) == 20
    assert engine.stored(arms(changes=((10, F),)), 99) == 10  # it acts on steps behind it only
    assert engine.stored(arms(changes=((15, E),)), 99) == 10
    assert engine.stored(arms(changes=((5, E),)), 99) == 0
    assert engine.stored(arms(changes=((10, E), (20, D))), 99) == 20
    assert engine.stored(arms(train=E), 99) == 0
    second, report = begun(engine, arms(changes=((10, F),)), 99)
    assert (report.arms[0].step, report.arms[0].train) == (10, F)
    other, _ = begun(engine, arms(changes=((10, F),)))
    losses = [to(engine, id, 15).arms[0].loss.batch_nll.tolist() for id in (second, other)]
    assert losses[0] == losses[1] and engine.export(second, 0) == engine.export(other, 0)


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
        dataclasses.replace(ONE, arms=(SMALL, SMALL)),
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


@pytest.mark.thorough
def test_a_run_goes_on_by_what_began_it_and_who_asks_gets_the_same_digits():
    backends = Always(TORCH)
    engine = engine_without_time(backends=backends)
    by = {}
    for backends.now in (TORCH, NUMBA):
        id, _ = begun(engine, ONE)
        to(engine, id, 10)
        by[backends.now] = what_it_is(engine, id)
        engine.close(id)
    made = {name: (it[-1],) for name, it in by.items()}
    assert made[TORCH] != made[NUMBA]
    for name in by:
        again, _ = begun(engine, ONE, 10, fingerprints=made[name])
        assert what_it_is(engine, again) == by[name]
    newest, _ = begun(engine, ONE, 10)
    assert what_it_is(engine, newest) == by[NUMBA]
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
    store.put(checkpoint(step, size=50))
    assert store.bytes == MOST_STEPS * 100 - 50
    large = Stored(most_bytes=16_000, most_entry_bytes=1_000)
    for step in range(1, 101):
        large.put(checkpoint(step, size=1_000))
    assert len(steps_of(large)) == MOST_LARGE_STEPS


def test_the_experiments_that_were_used_least_recently_go_first_and_what_is_too_large_is_refused():
    store = Stored(most_bytes=350, most_entry_bytes=100)
    assert not store.put(checkpoint(10, size=101)) and not store.put(checkpoint(0))
    experiments = [dataclasses.replace(ONE, seed=seed) for seed in range(4)]
    for experiment in experiments[:3]:
        store.put(checkpoint(10, experiment))
    assert store.find(experiments[0], 10)  # used
    store.put(checkpoint(10, experiments[3]))
    assert [bool(store.find(one, 10)) for one in experiments] == [True, False, True, True]
    assert store.bytes == 300
