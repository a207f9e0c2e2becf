"""Planned and live changes of how an arm is trained."""

import dataclasses

import pytest

from app.engine.experiment import Arm
from app.engine.records.train_schedule import TrainSchedule
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig

A, B, C = (TrainConfig(batch=batch) for batch in (10, 20, 30))
ARM = Arm(FlowConfig(), A, "moons", changes=((5, B), (9, C)))


def test_each_change_takes_over_when_its_steps_are_done():
    schedule = TrainSchedule.of(ARM)
    assert [schedule.at(step) for step in (0, 4, 5, 8, 9, 100)] == [A, A, B, B, C, C]
    assert [schedule.changes(step) for step in (4, 5, 9)] == [(), ((5, B),), ((5, B), (9, C))]
    assert schedule.planned(ARM) == ARM


def test_changes_may_come_in_any_order_and_the_last_of_one_step_counts():
    arm = dataclasses.replace(ARM, changes=((9, C), (5, C), (5, B)))
    assert TrainSchedule.of(arm) == TrainSchedule.of(ARM)


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


def test_a_new_beginning_keeps_what_is_in_force_and_nothing_else():
    schedule = TrainSchedule.of(ARM).restarted(6)
    assert [schedule.at(step) for step in (0, 50)] == [B, B]
    assert schedule.changes(50) == ()


@pytest.mark.parametrize("step", [-1, 2.5, "3"])
def test_changes_at_no_step_are_refused(step):
    with pytest.raises(ValueError, match=f"A change at step {step!r}: use a whole number from 0"):
        dataclasses.replace(ARM, changes=((step, B),))
