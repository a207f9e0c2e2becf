"""What the server remembers of a run, so that another process can continue it as it was."""

import dataclasses

import pytest

from app.engine.commands import Change, Create, Play, Reset, Step
from app.engine.experiment import Arm, Experiment
from app.engine.records.dropped import Dropped
from app.engine.records.experiment_record import ExperimentRecord
from app.engine.records.latest_report import LatestReport
from app.engine.records.schedule import Schedule
from app.engine.reports import ArmReport, Checkpoint, Report, State
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig
from tests.app.pages import named

A, B, C = (TrainConfig(batch=batch) for batch in (10, 20, 30))
PLANNED = Experiment((Arm(FlowConfig(), A, "moons", changes=((5, B),)),), 0)


@pytest.fixture
def memo():
    return ExperimentRecord(PLANNED, LatestReport("id"))


def saved(step, handled, *changes):
    schedule = Schedule.of(dataclasses.replace(PLANNED.arms[0], changes=changes))
    return Checkpoint("id", step, b"", (schedule,), handled)


def report(step, train, handled):
    return Report("id", State.PLAYING, (ArmReport(step, 0.0, 0.0, train=train),), handled=handled)


def test_changes_since_the_checkpoint_are_sent_again_in_their_order(memo):
    first, second = Change("id", 0, B), Change("id", 0, C)
    for command in (Play("id"), first, second):
        memo.note(command)
    memo.lose()
    create, *changes = memo.start()
    assert isinstance(create, Create)
    assert (create.experiment, create.checkpoint, changes) == (PLANNED, None, [first, second])
    memo.receive(saved(3, 1, (2, B)))  # by the new worker, which had handled one of the two
    memo.lose()
    create, *changes = memo.start()
    assert (create.checkpoint.step, changes) == (3, [second])
    memo.receive(saved(4, 1, (2, B), (3, C)))
    assert memo.start()[1:] == []


def test_steps_that_were_asked_for_are_counted_from_the_checkpoint(memo):
    memo.note(Step("id", 10))
    memo.receive(saved(4, 1))
    memo.receive(Report("id", State.STEPPING, (ArmReport(7, 0.0, 0.0, train=A),), handled=1, steps_left=3))
    memo.lose()
    (create,) = memo.start()
    assert (create.checkpoint.step, create.steps) == (4, 6)


def test_a_run_of_another_server_moves_until_it_is_saved_at_its_goal(memo):
    memo.note(Step("id", 5))
    again = ExperimentRecord.again("id", memo.restart(), memo.clock)
    assert memo.moves and again.moves
    memo.receive(saved(5, 1))
    again = ExperimentRecord.again("id", memo.restart(), memo.clock)
    assert again.goal == 5 and not again.moves
    again.note(Play("id"))
    assert again.moves


def test_a_reset_keeps_the_settings_in_force_and_forgets_the_plan(memo):
    memo.receive(report(7, B, handled=0))
    memo.note(Reset("id"))
    (create,) = memo.start()
    assert create.checkpoint is None
    assert (create.experiment.arms[0].train, create.experiment.arms[0].changes) == (B, ())


def test_a_reset_keeps_a_change_that_was_not_confirmed(memo):
    memo.receive(report(7, B, handled=0))
    memo.note(Change("id", 0, C))
    memo.note(Reset("id"))
    create, *changes = memo.start()
    assert (create.experiment.arms[0].train, changes) == (C, [])


def test_a_checkpoint_from_before_a_reset_does_not_bring_the_old_run_back(memo):
    memo.note(Play("id"))
    memo.note(Reset("id"))
    memo.receive(saved(50, 1))
    assert memo.checkpoint is None
    memo.receive(saved(0, 2))
    assert memo.checkpoint.step == 0
    memo.lose()
    memo.start()
    memo.receive(saved(0, 0))  # another process counts from the beginning
    assert memo.checkpoint.handled == 0


def playing_from(memo, step):
    memo.note(Play("id"))
    memo.receive(saved(step, 1))


def test_a_run_at_whose_step_the_process_dies_twice_is_set_aside_and_says_where(memo):
    playing_from(memo, 7)
    memo.lose(at=9)
    (create, *_) = memo.start()
    assert create.playing and create.checkpoint.step == 7 and not memo.set_aside
    memo.lose(at=9)
    assert memo.set_aside
    answer = memo.answer()
    assert answer.state is State.SET_ASIDE and {"2", "7"} <= named(answer.message)
    create, *_ = memo.take_up()
    assert (create.checkpoint.step, memo.answer().state, memo.set_aside) == (7, State.LOADING, False)


def test_a_run_is_not_set_aside_for_what_it_did_not_do_nor_once_it_got_further(memo):
    playing_from(memo, 7)
    for _ in range(10):
        memo.lose()  # at work on another one
    memo.lose(at=9)
    memo.receive(saved(10, 1))
    memo.lose(at=9)
    assert not memo.set_aside
    for at in (11, 14, 12):
        assert not memo.set_aside
        memo.lose(at)
    assert memo.set_aside  # four times without getting any further


@pytest.mark.parametrize("state", [State.PLAYING, State.PAUSED])
def test_a_silent_process_is_spoken_of_where_something_is_waited_for(memo, state):
    memo.receive(Report("id", state, (ArmReport(7, 127.0, 0.0, train=A),)))
    assert (memo.answer(2.9).message, memo.answer(2.9).arms[0].steps_per_second) == ("", 127.0)
    silent = memo.answer(4.0)
    told = state is State.PLAYING
    assert ("4 s" in silent.message, silent.arms[0].steps_per_second == 0.0) == (told, told)


def test_a_dropped_run_says_why_and_goes_on_from_its_checkpoint(memo):
    playing_from(memo, 7)
    why = "This run was dropped: nobody knows why."
    memo.drop(why)
    answer = memo.answer()
    assert (answer.state, answer.resumes_at) == (State.EXPIRED, 7)
    assert why in answer.message and "7" in named(answer.message)
    create, *_ = memo.take_up()
    assert (create.checkpoint.step, create.playing, create.present) == (7, False, True)
    memo.note(Step("id", 3))
    assert memo.answer().resumes_at is None


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
