"""A step in its parts by the engine: the same step, reported once, with numbers that are the core's."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from app.engine.commands import Play, Step, ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.records.experiment_record import ExperimentRecord
from app.engine.records.latest_report import LatestReport
from app.engine.reports import State
from app.engine.training.job import Job
from app.engine.training.job_kinds import job_of
from app.engine.training.job_records import DIGITS
from app.engine.training.step_picture import MOST_POINTS, mean, picture_of
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Roulette
from resflow_core.training import trainer as trainer_file
from resflow_core.training.step_parts import step_in_parts
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig, Trainer
from tests.app.requests import engine_without_time
from tests.core.breathing import Ended, EndsAt

FLOW, TRAIN = FlowConfig(blocks=2, width=8), TrainConfig(batch=50, log_det=Roulette())
ARM = Arm(FLOW, TRAIN, "moons")
VIEW = ViewRequest(grid=16, points=40)
MOONS = DATASETS["moons"]


def begun(arm=ARM, steps=3):
    engine = engine_without_time()
    id = engine.create(Experiment((arm,), 0))
    engine.step(id, steps)
    engine.poll(id, VIEW)
    return engine, id


def slowly(engine, id):
    engine.step(id, 1, in_parts=True)
    return engine.poll(id, VIEW)


def taken(job):
    job.step()
    return job._trainer.state_bytes()


def test_it_is_the_same_step_and_the_picture_has_the_cores_numbers():
    plain, slow = (Job(ARM, 0, "cpu", lambda: 0.0) for _ in range(2))
    for job in (plain, slow):
        taken(job)
    slow.record_next_step(VIEW)
    assert taken(slow) == taken(plain)
    assert np.array_equal(slow.curves().batch_nll, plain.curves().batch_nll)
    picture = slow.hand_over_parts()
    assert slow.hand_over_parts() is None
    trainer = Trainer(FLOW, TRAIN, MOONS, 0)
    trainer.step()
    parts = step_in_parts(trainer, measure.grid_points(MOONS.window, 16), MOST_POINTS)
    numbers = picture.numbers
    assert (picture.step, picture.batch, picture.log_det_by) == (2, 50, TRAIN.log_det)
    assert numbers.loss.value == pytest.approx(parts.loss.mean())
    assert numbers.loss.error == pytest.approx(parts.loss.std(ddof=1) / math.sqrt(50), rel=1e-5)
    assert numbers.true_loss.value == pytest.approx(parts.true_loss.mean())
    assert numbers.deviation == pytest.approx(math.sqrt(((parts.log_det - parts.true_log_det) ** 2).mean()))
    assert numbers.gain.value == pytest.approx((parts.true_loss_after - parts.true_loss).mean())
    assert numbers.fell == (parts.true_loss_after < parts.true_loss).sum()
    assert numbers.gradient_norm == parts.gradient_norm and numbers.update_norm == parts.update_norm
    (x0, x1), (y0, y1) = MOONS.window
    cell = (x1 - x0) * (y1 - y0) / 15**2
    assert numbers.moved == pytest.approx(np.abs(parts.change).sum() * cell / 2)
    assert picture.change == pytest.approx(parts.change.reshape(16, 16), abs=1e-6)
    np.testing.assert_array_equal(picture.points, parts.x)
    assert picture.stages[-1] == pytest.approx(parts.z, abs=1e-6)


def test_the_seconds_of_training_do_not_count_what_is_recorded():
    now = [0.0]

    def clock():
        now[0] += 1.0  # between two looks at it
        return now[0]

    plain, slow = (Job(ARM, 0, "cpu", clock) for _ in range(2))
    slow.record_next_step(VIEW)
    for job in (plain, slow):
        taken(job)
    assert plain.seconds == slow.seconds == 1.0


def test_a_report_has_the_parts_as_long_as_the_flow_stands_at_this_step():
    engine, id = begun()
    report = slowly(engine, id)
    assert (report.state, report.arms[0].step, report.arms[0].parts.step) == (State.PAUSED, 4, 4)
    engine.leave(id)
    assert engine.poll(id, VIEW).arms[0].parts is report.arms[0].parts  # a page that comes back
    engine.step(id, 1)
    assert engine.poll(id, VIEW).arms[0].parts is None
    assert slowly(engine, id).arms[0].parts.step == 6
    engine.reset(id)
    assert engine.poll(id, VIEW).arms[0].parts is None


@pytest.mark.thorough
def test_what_plays_pauses_first_and_one_step_is_taken():
    engine, id = begun()
    engine.play(id)
    engine.poll(id, VIEW)
    step = engine._here.runs[id].step
    report = slowly(engine, id)
    assert (report.state, report.arms[0].step, report.steps_left) == (State.PAUSED, step + 1, 0)
    assert report.arms[0].parts.step == step + 1
    engine.step(id, 5000)
    engine.step(id, 1, in_parts=True)  # what was to come is given up
    report = engine.poll(id, VIEW)
    assert (report.state, report.arms[0].step) == (State.PAUSED, step + 2)


def test_a_record_that_is_ended_leaves_the_step_taken(monkeypatch):
    monkeypatch.setattr(trainer_file, "part_count", lambda *_: 3)
    plain, slow = (Job(ARM, 0, "cpu", lambda: 0.0) for _ in range(2))
    slow.record_next_step(VIEW)
    with pytest.raises(Ended):
        slow.step(EndsAt(5))
    assert slow.hand_over_parts() is None
    assert [*slow.curves().batch_nll] == [*slow.curves().batch_nll][:1]
    assert taken(plain) == slow._trainer.state_bytes()
    slow.record_next_step(VIEW)
    assert taken(slow) == taken(plain)
    assert slow.hand_over_parts().step == 2


def test_what_is_given_up_before_its_step_is_not_shown_later():
    engine, id = begun()
    engine.step(id, 1, in_parts=True)
    engine.pause(id)
    engine.step(id, 1)
    report = engine.poll(id, VIEW)
    assert (report.arms[0].step, report.arms[0].parts) == (4, None)


def test_a_step_that_diverges_has_no_parts_and_says_why():
    engine, id = begun()
    job = engine._here.runs[id].job
    with torch.no_grad():
        job._trainer.flow.blocks[0].branch.linears[0].bias.fill_(torch.nan)
    report = slowly(engine, id)
    assert (report.state, report.arms[0].step, report.arms[0].parts) == (State.DIVERGED, 3, None)
    assert "learning rate" in report.message
    assert slowly(engine, id).arms[0].parts.step == 4  # from its last good state


def test_weights_that_are_not_finite_after_the_step_leave_a_picture_without_an_error():
    trainer = Trainer(FLOW, TRAIN, MOONS, 0)
    parts = step_in_parts(trainer, measure.grid_points(MOONS.window, 4), 10)
    broken = dataclasses.replace(
        parts, true_loss_after=parts.true_loss * np.nan, change=parts.change * np.nan, update_norm=math.inf
    )
    picture = picture_of(broken, TRAIN.log_det, MOONS.window, 4)
    assert picture.numbers.fell == 0 and math.isnan(picture.numbers.gain.value)


def test_a_mean_of_one_point_has_no_error():
    assert mean(np.array([2.0])).value == 2.0 and math.isnan(mean(np.array([2.0])).error)


def test_two_classes_have_parts_and_digits_a_plain_step():
    classes = Arm(HybridConfig(FLOW), HybridTrainConfig(batch=50, weight=0.5), "moons")
    engine, id = begun(classes)
    picture = slowly(engine, id).arms[0].parts
    assert picture.numbers.loss.value == pytest.approx(picture.numbers.step_loss, abs=1e-4)
    digits = Arm(FlowConfig(blocks=1, width=8, dim=64), TrainConfig(batch=8, log_det=Roulette()), DIGITS)
    job = job_of(digits, 0, "cpu", lambda: 0.0)
    job.record_next_step(VIEW)
    job.step()
    assert (job.step_count, job.hand_over_parts()) == (1, None)


def test_a_run_whose_process_dies_at_it_takes_the_step():
    record = ExperimentRecord(Experiment((ARM,), 0), LatestReport("id"))
    for command in (Play("id"), Step("id", 40), Step("id", 1, in_parts=True)):
        record.note(command)
    record.lose()
    (create,) = record.start()
    assert (create.playing, create.steps) == (False, 1)
