"""What the server remembers of a run, so that another process can continue it as it was."""

import dataclasses

import pytest

from app.engine.commands import Change, Create, Play, Reset, Step
from app.engine.experiment import Arm, Experiment
from app.engine.records.dropped import Dropped
from app.engine.records.experiment_record import ExperimentRecord
from app.engine.records.latest_report import LatestReport
from app.engine.records.train_schedule import TrainSchedule
from app.engine.reports import ArmReport, Checkpoint, Report, State
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig
from tests.app.pages import named

A, B, C = (TrainConfig(batch=batch) for batch in (10, 20, 30))
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


def test_a_run_of_another_server_moves_until_it_is_saved_at_its_goal(record):
    record.note(Step("id", 5))
    again = ExperimentRecord.again("id", record.restart(), record.clock)
    assert record.moves and again.moves
    record.receive(saved(5, 1))
    again = ExperimentRecord.again("id", record.restart(), record.clock)
    assert again.goal == 5 and not again.moves
    again.note(Play("id"))
    assert again.moves


def test_a_reset_keeps_the_settings_in_force_and_forgets_the_plan(record):
    record.receive(report(7, B, handled=0))
    record.note(Reset("id"))
    (create,) = record.start()
    assert create.checkpoint is None
    assert (create.experiment.arms[0].train, create.experiment.arms[0].changes) == (B, ())


def test_a_reset_keeps_a_change_that_was_not_confirmed(record):
    record.receive(report(7, B, handled=0))
    record.note(Change("id", 0, C))
    record.note(Reset("id"))
    create, *changes = record.start()
    assert (create.experiment.arms[0].train, changes) == (C, [])


def test_a_checkpoint_from_before_a_reset_does_not_bring_the_old_run_back(record):
    record.note(Play("id"))
    record.note(Reset("id"))
    record.receive(saved(50, 1))
    assert record.checkpoint is None
    record.receive(saved(0, 2))
    assert record.checkpoint.step == 0
    record.lose()
    record.start()
    record.receive(saved(0, 0))  # another process counts from the beginning
    assert record.checkpoint.handled == 0


def playing_from(record, step):
    record.note(Play("id"))
    record.receive(saved(step, 1))


def test_a_run_at_whose_step_the_process_dies_twice_is_set_aside_and_says_where(record):
    playing_from(record, 7)
    record.lose(at=9)
    (create, *_) = record.start()
    assert create.playing and create.checkpoint.step == 7 and not record.set_aside
    record.lose(at=9)
    assert record.set_aside
    answer = record.answer()
    assert answer.state is State.SET_ASIDE and {"2", "7"} <= named(answer.message)
    create, *_ = record.take_up()
    assert (create.checkpoint.step, record.answer().state, record.set_aside) == (7, State.LOADING, False)


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
