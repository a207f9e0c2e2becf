"""What the server remembers of a run, so that another process can continue it as it was."""

import dataclasses

import pytest

from app.engine.mailbox import Mailbox
from app.engine.memo import Memo
from app.engine.messages import Arm, ArmReport, Change, Checkpoint, Create, Experiment, Play, Report, Reset, State
from app.engine.schedule import Schedule
from resflow_core.flow import FlowConfig
from resflow_core.training import TrainConfig

A, B, C = (TrainConfig(batch=batch) for batch in (10, 20, 30))
PLANNED = Experiment((Arm(FlowConfig(), A, "moons", changes=((5, B),)),), 0)


@pytest.fixture
def memo():
    return Memo(PLANNED, Mailbox("id"))


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
